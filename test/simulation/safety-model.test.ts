/** The kernel against a plain reference: after every call the same vectors, leases, faults and refusals. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { OutputValues } from '../../hal/contract/safety.ts'
import type { Step } from '../../hal/safety/kernel-types.ts'
import { type Call, moves, Run } from './safety-calls.ts'
import { plants } from './safety-plant.ts'
import { type Given, SafetyReference } from './safety-reference.ts'

test('the kernel does what a reference does that works everything out from the whole history [kernel-1..12]', {
  timeout: 120_000,
}, () => {
  let calls = 0
  fc.assert(
    fc.property(plants, moves, (config, drawn) => {
      const run = new Run(config)
      const given: Given = { leases: [], faults: [] }
      const reference = new SafetyReference(config, given)
      const perform = (call: Call) => {
        calls++
        const before = run.kernel.values()
        const expected = reference.answer(call, run.nowMs)
        const step: Step & { denial?: { rule: string } } = run.perform(call)
        for (const event of step.events) {
          if (event.type === 'lease-granted') given.leases.push(event.lease.id)
          if (event.type === 'fault') given.faults.push(event.fault.id)
        }
        const rule = step.denial?.rule
        const refusals = [...expected.refusals]
        expect(rule === undefined ? refusals : refusals.includes(rule), `${rule} of ${refusals}`).toEqual(
          rule === undefined ? [] : true,
        )
        if (call.name !== 'restart') expect(committed(before, step)).toEqual(expected.vectors)
        expect(shown(run, given)).toEqual(shownBy(reference, run.nowMs))
      }
      for (const call of run.opening()) perform(call)
      for (const move of drawn) perform(run.call(move))
    }),
    { numRuns: 200 },
  )
  expect(calls).toBeGreaterThanOrEqual(15_000)
})

/** Every vector that the step made of `before`; writes that repeat what is there make none. */
function committed(before: OutputValues, { writes }: Step): OutputValues[] {
  const vectors: OutputValues[] = []
  let vector = before
  for (const write of writes) {
    const next = { ...vector, ...write }
    if (Object.keys(next).some((name) => next[name] !== vector[name])) vectors.push(next)
    vector = next
  }
  return vectors
}

function shown({ kernel, nowMs }: Run, given: Given) {
  const { armed, emergencyStop, leases, faults } = kernel.status(nowMs)
  return {
    armed,
    emergencyStop,
    values: kernel.values(),
    leases: leases.map(({ id, components, principal, leftMs }) => ({
      lease: given.leases.indexOf(id),
      components,
      principal,
      leftMs,
    })),
    faults: faults.map(({ id, cause, components }) => ({
      fault: given.faults.indexOf(id),
      cause,
      components: [...components].sort(),
    })),
  }
}

function shownBy({ history }: SafetyReference, nowMs: number): ReturnType<typeof shown> {
  return {
    armed: history.is('armed'),
    emergencyStop: history.is('pressed'),
    values: history.vector(),
    leases: history.live().map((live) => ({
      lease: live.lease,
      components: live.parts,
      principal: live.principal,
      leftMs: history.endsAtMs(live) - nowMs,
    })),
    faults: history.latched().map(({ fault, cause, parts }) => ({
      fault,
      cause,
      components: [...parts].sort(),
    })),
  }
}
