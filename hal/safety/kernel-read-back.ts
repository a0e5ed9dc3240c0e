/** What the hardware says against what was written. */
import type { Output } from './kernel-output.ts'

/** Why the output differs from what is on the wire for too long; undefined when it does not (yet). NaN always differs. */
export function differsTooLong(output: Output, measured: number, nowMs: number): string | undefined {
  const { name, value, spec } = output
  if (spec.readBackMsMax === undefined) return undefined
  if (Math.abs(measured - value) <= (spec.readBackTolerance ?? 0)) {
    output.differsSinceMs = undefined
    return undefined
  }
  output.differsSinceMs ??= nowMs
  if (nowMs - output.differsSinceMs <= spec.readBackMsMax) return undefined
  const [is, shouldBe] = spec.type === 'binary' ? [words(measured), words(value)] : [measured, value]
  return `${name} is ${is} though it should be ${shouldBe}, for more than ${spec.readBackMsMax} ms`
}

const words = (value: number): string => (value === 0 ? 'off' : value === 1 ? 'on' : `${value}`)
