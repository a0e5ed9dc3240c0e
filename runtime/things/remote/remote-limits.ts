/** How much is kept and done of what other devices say: nobody on the broker may fill this device's memory or its time. */
export const remoteLimits = {
  /** Devices listened to at a time: those of the largest site. */
  devicesMax: 64,
  /** Longer than any state with its attributes in earnest. */
  stateBytesMax: 16 * 1024,
  /** States of one device: 500 of half a kilobyte. */
  bytesMax: 256 * 1024,
  /** States of one device taken at once: all that it has. Beyond that 20 each 100 ms, the newest of each. */
  burst: 500,
  refillMs: 100,
  perRefill: 20,
  /** How long what a device has said is waited for: the broker keeps it, so it comes at once or never. */
  settleMs: 3_000,
  /** A device that nobody asked about for so long is not listened to any more, once the place is needed or another is asked about. */
  idleMs: 600_000,
} as const
