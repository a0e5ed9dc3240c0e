/** Configurations that cannot be kept are refused in one line that names rule and output. */
import { expect, test } from 'vitest'
import type { Constraint, OutputSpec } from '../../../../hal/contract/safety.ts'
import { SafetyKernel } from '../../../../hal/safety/kernel.ts'
import { binary, head, kernelConfig, lamps, level, part, relay } from './kernel-under-test.ts'

const parts = [relay('a'), part('brake', [binary('on', 1)]), part('fan', [level('duty')]), head('h')]
const refusal = (constraints: readonly Constraint[], components = parts) => {
  try {
    new SafetyKernel(kernelConfig(components, constraints, { inputs: ['float'] }), { faults: [] }, 0)
    return undefined
  } catch (error) {
    return error
  }
}

const lampsWith = (change: object): Constraint => ({ ...lamps('h'), ...change }) as Constraint
const { states } = lamps('h') as Extract<Constraint, { rule: 'sequence' }>

const mistakes: readonly (readonly [string, Constraint])[] = [
  ['there is no output "b.on"; there are a.on, brake.on', { rule: 'minimum', output: 'b.on', onMs: 1 }],
  ['it names an output twice', { rule: 'mutex', outputs: ['a.on', 'a.on'] }],
  ['it needs at least 2 outputs', { rule: 'permissive', outputs: ['a.on'], together: [] }],
  ['onMax is 0.5', { rule: 'mutex', outputs: ['a.on', 'h.green'], onMax: 0.5 }],
  [
    'the pair with "fan.duty" is not of its outputs',
    { rule: 'permissive', outputs: ['a.on', 'h.green'], together: [['a.on', 'fan.duty']] },
  ],
  [
    'it pairs "a.on" with itself',
    { rule: 'permissive', outputs: ['a.on', 'h.green'], together: [['a.on', 'a.on']] },
  ],
  ['it needs at least 2 groups', { rule: 'clearance', groups: [['a.on', 'h.green']], afterMs: 9 }],
  ['a group names no output', { rule: 'clearance', groups: [['a.on'], []], afterMs: 9 }],
  ['it names an output twice', { rule: 'clearance', groups: [['a.on'], ['a.on', 'h.green']], afterMs: 9 }],
  ['there is no output "b.on"', { rule: 'clearance', groups: [['a.on'], ['b.on']], afterMs: 9 }],
  ['afterMs is 0', { rule: 'clearance', groups: [['a.on'], ['h.green']], afterMs: 0 }],
  [
    '"brake.on" is on when it is safe, so nothing may keep it off',
    { rule: 'clearance', groups: [['a.on'], ['brake.on']], afterMs: 9 },
  ],
  ['it needs onMs or offMs', { rule: 'minimum', output: 'a.on' }],
  ['onMs is -1', { rule: 'minimum', output: 'a.on', onMs: -1 }],
  [
    '"brake.on" is on when it is safe, so nothing may keep it off',
    { rule: 'minimum', output: 'brake.on', offMs: 5 },
  ],
  [
    '"brake.on" is on when it is safe, so it cannot be on for too long',
    { rule: 'maximum-on', output: 'brake.on', onMs: 5 },
  ],
  ['onMs is NaN', { rule: 'maximum-on', output: 'a.on', onMs: Number.NaN }],
  [
    'the safe value 0 of "fan.duty" is outside 10 to 20',
    { rule: 'range', output: 'fan.duty', min: 10, max: 20 },
  ],
  ['min 20 must not be above max 10', { rule: 'range', output: 'fan.duty', min: 20, max: 10 }],
  ['"a.on" is on or off and cannot slew', { rule: 'slew', output: 'a.on', perS: 1 }],
  ['perS is 0', { rule: 'slew', output: 'fan.duty', perS: 0 }],
  ['changesMax is 0', { rule: 'rate', output: 'a.on', changesMax: 0, perMs: 10 }],
  ['perMs is 0', { rule: 'rate', output: 'a.on', changesMax: 1, perMs: 0 }],
  [
    'there is no output and no input "door"',
    { rule: 'dependency', output: 'a.on', needs: 'door', min: 1, max: 1 },
  ],
  ['"a.on" needs itself', { rule: 'dependency', output: 'a.on', needs: 'a.on', min: 1, max: 1 }],
  [
    '"brake.on" is on when it is safe, so it cannot depend on an input',
    { rule: 'dependency', output: 'brake.on', needs: 'float', min: 1, max: 1 },
  ],
  [
    'none of its states is the safe one',
    lampsWith({ states: { go: states['go'], caution: states['caution'] }, steps: [] }),
  ],
  ['no steps lead from "go" to the safe state "stop"', lampsWith({ steps: [] })],
  [
    'a step ends at "blue", which is no state',
    lampsWith({ steps: [{ from: 'go', to: 'blue', afterMs: 0 }] }),
  ],
  [
    'a step starts at "blue", which is no state',
    lampsWith({ steps: [{ from: 'blue', to: 'go', afterMs: 0 }] }),
  ],
  ['a step leads from "go" to itself', lampsWith({ steps: [{ from: 'go', to: 'go', afterMs: 0 }] })],
  ['afterMs from "go" to "stop" is -1', lampsWith({ steps: [{ from: 'go', to: 'stop', afterMs: -1 }] })],
  ['state "x" does not say what "h.red" is', lampsWith({ states: { ...states, x: {} } })],
  ['states "stop" and "x" are the same', lampsWith({ states: { ...states, x: states['stop'] } })],
  [
    'state "x": h.red is 0 or 1, not 7',
    lampsWith({ states: { ...states, x: { 'h.red': 7, 'h.yellow': 0, 'h.green': 0 } } }),
  ],
  ['state "x" sets "a.on", not of its outputs', lampsWith({ states: { ...states, x: { 'a.on': 1 } } })],
]

test.each(mistakes)('a rule is refused: %s', (message, constraint) => {
  expect(refusal([constraint])).toMatchObject({ name: 'HalError', code: 'malformed' })
  expect(String(refusal([constraint]))).toContain(`safety constraint 1 (${constraint.rule}): ${message}`)
  expect(String(refusal([constraint]))).not.toContain('\n')
})

test('safe values that together break a rule are refused, with the rule [kernel-1]', () => {
  const brakes = ['brake', 'other'].map((id) => part(id, [binary('on', 1)]))
  expect(String(refusal([{ rule: 'mutex', outputs: ['brake.on', 'other.on'] }], brakes))).toContain(
    'the safe values break a rule: at most 1 of brake.on, other.on may be on',
  )
})

test('a state that breaks a rule among its own outputs is refused, since no walk could pass it [kernel-2]', () => {
  const constraints: Constraint[] = [
    lamps('h'),
    { rule: 'mutex', outputs: ['h.yellow', 'h.green'], onMax: 0 },
  ]
  expect(String(refusal(constraints))).toContain('state "go" breaks another rule: at most 0')
})

test('a state with two conflicting groups on is refused, one with one group is not [kernel-2, kernel-12]', () => {
  const crossing = (groups: string[][]): Constraint => ({ rule: 'clearance', groups, afterMs: 2000 })
  expect(refusal([lamps('h'), crossing([['h.green', 'h.yellow'], ['a.on']])])).toBeUndefined()
  expect(refusal([lamps('h'), crossing([['h.green'], ['h.yellow']])])).toBeUndefined()
  const both = { ...states, both: { 'h.red': 0, 'h.yellow': 1, 'h.green': 1 } }
  const steps = [{ from: 'both', to: 'stop', afterMs: 0 }]
  const constraint = lampsWith({ states: { stop: states['stop'], both: both.both }, steps })
  expect(String(refusal([constraint, crossing([['h.green'], ['h.yellow']])]))).toContain(
    'state "both" breaks another rule: of h.green, h.yellow each turns on only',
  )
})

test('an output is in one sequence, and none that slews [kernel-2]', () => {
  expect(String(refusal([lamps('h'), lamps('h')]))).toContain('"h.red" is in another sequence already')
  const steps: Constraint = {
    rule: 'sequence',
    outputs: ['fan.duty'],
    states: { off: { 'fan.duty': 0 } },
    steps: [],
  }
  // The slew comes later in the list, and counts all the same.
  expect(String(refusal([steps, { rule: 'slew', output: 'fan.duty', perS: 1 }]))).toContain(
    '"fan.duty" slews',
  )
})

test.each<[string, OutputSpec]>([
  ['its safe value 200 must lie within 0 to 100', level('x', { safe: 200 })],
  ['its safe value NaN must lie', level('x', { safe: Number.NaN })],
  ['must lie within 0 to Infinity', level('x', { max: Number.POSITIVE_INFINITY })],
  ['a binary output goes from 0 to 1', { ...binary('x'), max: 2 }],
  ['slewPerS 0 must be above 0', level('x', { slewPerS: 0 })],
  ['slewPerS 5 must be above 0, and of a number', { ...binary('x'), slewPerS: 5 }],
  ['readBackMsMax and readBackTolerance', level('x', { readBackMsMax: -1 })],
])('an output is refused: %s', (message, spec) => {
  expect(String(refusal([], [part('p', [spec])]))).toContain('safety: output "p.x": ')
  expect(String(refusal([], [part('p', [spec])]))).toContain(message)
})

test('names are given once, and times are above 0', () => {
  expect(String(refusal([], [relay('a'), relay('a')]))).toContain('two components are "a"')
  expect(String(refusal([], [part('a', [binary('x'), binary('x')])]))).toContain('two outputs are "a.x"')
  for (const wrong of [{ silenceMsMax: 0 }, { rampTickMs: Number.NaN }, { inputs: ['a.on'] }]) {
    const open = () => new SafetyKernel(kernelConfig([relay('a')], [], wrong), { faults: [] }, 0)
    expect(open).toThrow(/^safety: /)
  }
})
