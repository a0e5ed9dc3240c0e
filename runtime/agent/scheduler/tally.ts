/** How those have fared who asked for one thing, since the device started. */
export class Tally {
  granted = 0
  /** Told that they may not have it: too many wait, or it came too late. */
  refused = 0
  /** All waits together, and the longest that has ended. */
  waitedMs = 0
  longestMs = 0

  /** `again`: it had it before, and gave way. */
  waited(ms: number, again: boolean): void {
    if (!again) this.granted += 1
    this.waitedMs += ms
    this.longestMs = Math.max(this.longestMs, ms)
  }
}
