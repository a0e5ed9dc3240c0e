/**
 * Whatever is asked of the safety kernel, in whatever order, with whatever crashes in between: the invariants of
 * `hal/safety/constraints/README.md` hold for every vector that it commits.
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { OutputValues } from '../../hal/contract/safety.ts'
import type { Step } from '../../hal/safety/kernel-types.ts'
import { type Call, moves, Run } from './safety-calls.ts'
import { Checks } from './safety-checks.ts'
import { plants } from './safety-plant.ts'

test('no interleaving of calls, expiries, crashes and restarts leads to a vector that breaks a rule [kernel-1..12]', {
  timeout: 120_000,
}, () => {
  const seen = new Map<string, number>()
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
  fc.assert(
    fc.property(plants, moves, (config, drawn) => {
      const run = new Run(config)
      const checks = new Checks(config, run.kernel.values())
      const perform = (call: Call) => {
        const wakeMs = run.kernel.nextWakeMs()
        const before = run.kernel.values()
        const step: Step & { denial?: { rule: string } } = run.perform(call)
        checks.after(call, step, run.nowMs, run.kernel.values(), run.kernel.status(run.nowMs).armed)
        if (call.name === 'tick' && run.nowMs < wakeMs) expectNothingDue(run, before, step)
        count('steps')
        count(step.denial ? `denied ${step.denial.rule}` : `done ${call.name}`)
        for (const event of step.events) count(event.type)
      }
      for (const call of run.opening()) perform(call)
      for (const move of drawn) perform(run.call(move))
      comeToRest(run, perform)
    }),
    { numRuns: 1200 },
  )
  expect(seen.get('steps')).toBeGreaterThanOrEqual(100_000)
  for (const what of everySort) expect(seen.get(what) ?? 0, what).toBeGreaterThan(5)
})

/** Unless the test does all of these often, it shows little. */
const everySort = [
  ...['command', 'acquire', 'renew', 'restart', 'arm', 'clearFault'].map((call) => `done ${call}`),
  ...['mutex', 'permissive', 'clearance', 'minimum', 'sequence', 'range', 'rate', 'dependency'].map(
    (r) => `denied ${r}`,
  ),
  ...['lease', 'sequence-number', 'expired', 'disarmed', 'fault', 'emergency-stop', 'authority'].map(
    (rule) => `denied ${rule}`,
  ),
  ...['forced-safe', 'fault', 'fault-cleared', 'lease-ended', 'held', 'silence'],
]

/** Before the time it named nothing is due but ramps, which go on whenever anybody calls. */
function expectNothingDue({ config }: Run, before: OutputValues, { writes, events }: Step): void {
  expect(events.filter(({ type }) => type !== 'held')).toEqual([])
  for (const name of writes.flatMap((write) => Object.keys(write))) {
    const [part, local] = name.split('.')
    const spec = config.components.find(({ id }) => id === part)?.outputs.find((o) => o.name === local)
    const slews = config.constraints.some((c) => c.rule === 'slew' && c.output === name)
    expect(spec?.slewPerS !== undefined || slews, `${name} moved from ${before[name]} before its time`).toBe(
      true,
    )
  }
}

/** Once nobody holds anything, ticking when it wants to be woken ends with everything safe, and soon. */
function comeToRest(run: Run, perform: (call: Call) => void): void {
  for (const { id } of run.kernel.status(run.nowMs).leases) perform({ name: 'release', id })
  const fromMs = run.nowMs
  let movedMs = fromMs
  for (let wakes = 0; Number.isFinite(run.kernel.nextWakeMs()); wakes++) {
    expect(wakes).toBeLessThan(20)
    run.nowMs = Math.max(run.nowMs, run.kernel.nextWakeMs())
    const before = run.kernel.values()
    perform({ name: 'tick' })
    if (JSON.stringify(run.kernel.values()) !== JSON.stringify(before)) movedMs = run.nowMs
  }
  // The longest way is three steps of at most 800 ms, each of which may wait 500 ms for an output to be off long enough.
  expect(movedMs - fromMs).toBeLessThanOrEqual(3 * (800 + 500))
  for (const { output, value, safe } of run.kernel.status(run.nowMs).outputs) expect(value, output).toBe(safe)
}
