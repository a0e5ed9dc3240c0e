/** What can be wrong with the wires to an emulated part, and what that does to bytes on them. */
import type { HostClock } from '../../contract/host.ts'

/**
 * `no-acknowledge`: the part does not answer (on SPI and serial: silence); `stuck`: a line is held low, the bus times out;
 * `corrupt`: one bit of every transfer from the part is wrong; `all-ones`: every byte from the part is 0xFF; `unplugged`:
 * the part is gone, and has lost its power when it returns.
 */
export interface BusFault {
  readonly kind: 'no-acknowledge' | 'stuck' | 'corrupt' | 'all-ones' | 'unplugged'
}

/** Bytes as they arrive over wires with this fault. */
export function overWires(bytes: Uint8Array, fault: BusFault | undefined, random: () => number): Uint8Array {
  if (fault?.kind === 'all-ones') return new Uint8Array(bytes.length).fill(0xff)
  if (fault?.kind !== 'corrupt' || bytes.length === 0) return bytes
  const wrong = Uint8Array.from(bytes)
  const at = Math.floor(random() * bytes.length)
  wrong[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))
  return wrong
}

/** Nanoseconds as the kernel stamps edges. */
export const nanoseconds = (clockMs: ReturnType<HostClock['monotonicMs']>): bigint =>
  BigInt(Math.round(clockMs * 1e6))
