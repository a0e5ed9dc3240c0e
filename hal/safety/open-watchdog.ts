/** How the watchdog of a plan is opened; the library behind it is loaded only where there is one. */
import type { SafetyPlan } from './plan.ts'
import type { Watchdog } from './watchdog.ts'

/** Longer than any pause of a healthy device, short enough for whoever waits for it; seconds. */
const periodS = 15

/** Undefined where the configuration names none, or where there is no hardware to reset. */
export async function openWatchdogOf({ config, io }: SafetyPlan): Promise<(() => Watchdog) | undefined> {
  const { watchdog: path } = config
  if (path === undefined || io.kind !== 'linux') return undefined
  const { openWatchdog } = await import('../linux/watchdog.ts')
  const seconds = Math.min(periodS, io.board.watchdogSMax ?? periodS)
  return () => openWatchdog(path, seconds)
}
