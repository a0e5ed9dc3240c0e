/** The HAL's host for tests: a clock that stands still until told, and a log that is kept. */
import type { Host } from '../../../hal/contract/host.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields?: Record<string, unknown> | undefined
}

export function testHost(seed = 1): { host: Host; clock: VirtualClock; lines: LogLine[] } {
  const clock = new VirtualClock({ seed })
  const lines: LogLine[] = []
  const at = (level: string) => (message: string, fields?: Record<string, unknown>) => {
    lines.push({ level, message, fields })
  }
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { host: { clock, log, random: () => clock.random() }, clock, lines }
}
