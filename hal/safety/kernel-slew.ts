/**
 * Slewing: outputs with a slew limit move towards their target in small moves, each judged as any change. A move that
 * would break a rule is held, said once, and tried again. A move never makes up for more than one tick: a late tick makes
 * a ramp slower, never steeper.
 */
import type { Denial } from '../contract/safety.ts'
import { minimumBroken } from './constraints/minimum.ts'
import type { Output } from './kernel-output.ts'
import type { KernelEvent } from './kernel-types.ts'

/** Puts the moves that are due into `next`. */
export function slew(slewing: Iterable<Output>, tickMs: number, nowMs: number): readonly KernelEvent[] {
  const events: KernelEvent[] = []
  for (const output of slewing) {
    const { value, target, slewPerS, slewedAtMs } = output
    const elapsedMs = Math.min(nowMs - slewedAtMs, tickMs)
    // What is being driven safe has reached its target in `next` already.
    if (value === target || output.next === target || elapsedMs <= 0) continue
    const reach = (slewPerS * elapsedMs) / 1000
    output.slewedAtMs = nowMs
    output.next = Math.abs(target - value) <= reach ? target : value + Math.sign(target - value) * reach
    const denial = moveBroken(output, nowMs)
    if (denial) {
      output.next = value
      if (!output.held) events.push({ type: 'held', output: output.name, value, denial })
    }
    output.held = denial !== undefined
  }
  return events
}

function moveBroken(output: Output, nowMs: number): Denial | undefined {
  const early = minimumBroken(output, output.next, nowMs)
  if (early) return { rule: 'minimum', message: early }
  const broken = output.rules.find((rule) => rule.broken(nowMs))
  return broken && { rule: broken.rule, message: broken.message }
}
