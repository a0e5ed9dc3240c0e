/**
 * Plants that a safety kernel may be given: relays, brakes (on when safe), dimmers (some slewing), signal heads (a
 * sequence each), an input or two, and random rules over them. Rules that the kernel refuses are left out.
 *
 * Times are whole milliseconds and slews multiples of 250 a second, so that every ramp is exact in binary. The waiting
 * times of one sequence are different powers of two: no two ways to its safe state are equally quick.
 */
import * as fc from 'fast-check'
import type { Constraint, OutputSpec } from '../../hal/contract/safety.ts'
import { SafetyKernel } from '../../hal/safety/kernel.ts'
import type { KernelComponent, KernelConfig } from '../../hal/safety/kernel-types.ts'

const binary = (name: string, safe: 0 | 1): OutputSpec => ({
  name,
  type: 'binary',
  safe,
  min: 0,
  max: 1,
  readBackMsMax: 100,
})

const ramp = (name: string): OutputSpec => ({
  name,
  type: 'number',
  safe: 0,
  min: 0,
  max: 100,
  slewPerS: 500,
})

const shapes = [
  'relay',
  'relay',
  'twin',
  'brake',
  'dimmer',
  'ramp',
  'motor',
  'motor',
  'head',
  'head',
] as const
type Shape = (typeof shapes)[number]

const outputsOf: Readonly<Record<Shape, readonly OutputSpec[]>> = {
  relay: [binary('on', 0)],
  twin: [binary('left', 0), binary('right', 0)],
  brake: [binary('on', 1)],
  dimmer: [
    { name: 'level', type: 'number', safe: 0, min: 0, max: 100, readBackMsMax: 100, readBackTolerance: 2 },
  ],
  ramp: [{ name: 'duty', type: 'number', safe: 0, min: -100, max: 100, slewPerS: 250 }],
  motor: [ramp('ahead'), ramp('back')],
  head: [binary('red', 1), binary('yellow', 0), binary('green', 0)],
}

const component = (index: number): fc.Arbitrary<KernelComponent> =>
  fc
    .record({
      shape: fc.constantFrom(...shapes),
      exclusive: fc.boolean(),
      keepWithoutNetwork: fc.boolean(),
      signal: fc.integer({ min: 0, max: 7 }),
    })
    .map(({ shape, exclusive, keepWithoutNetwork, signal }) => ({
      id: `${shape}${index}`,
      outputs: outputsOf[shape],
      exclusive,
      keepWithoutNetwork,
      ...(shape === 'head' && signal === 0 ? { safetyClass: 'traffic-signal' as const } : {}),
      ...(shape === 'ramp' && signal === 0 ? { safetyClass: 'machine' as const } : {}),
    }))

/** Red, green, yellow, red-yellow, with a different wait for each step; now and then a slow step from green to red. */
function headSequence(id: string): fc.Arbitrary<Constraint> {
  const state = (red: number, yellow: number, green: number) => ({
    [`${id}.red`]: red,
    [`${id}.yellow`]: yellow,
    [`${id}.green`]: green,
  })
  const steps = [
    ['stop', 'ready'],
    ['ready', 'go'],
    ['go', 'caution'],
    ['caution', 'stop'],
    ['ready', 'stop'],
    ['go', 'stop'],
    ['stop', 'go'],
  ] as const
  return fc
    .record({
      waits: fc.shuffledSubarray([0, 25, 50, 100, 200, 400, 800], { minLength: 7 }),
      used: fc.integer({ min: 0, max: 7 }),
    })
    .map(({ waits, used }) => ({
      rule: 'sequence',
      outputs: [`${id}.red`, `${id}.yellow`, `${id}.green`],
      states: { stop: state(1, 0, 0), ready: state(1, 1, 0), go: state(0, 0, 1), caution: state(0, 1, 0) },
      steps: steps
        .map(([from, to], at) => ({ from, to, afterMs: waits[at] ?? 0 }))
        .filter((_, at) => at < 4 || (used >> (at - 4)) % 2 === 1),
    }))
}

/** One relay after the other, and back in the reverse order: a sequence over two parts. */
function chainSequence([first, then]: readonly string[]): fc.Arbitrary<Constraint> {
  const state = (one: number, other: number) => ({ [`${first}.on`]: one, [`${then}.on`]: other })
  return fc.shuffledSubarray([0, 25, 50, 100, 200], { minLength: 4 }).map((waits) => ({
    rule: 'sequence',
    outputs: [`${first}.on`, `${then}.on`],
    states: { idle: state(0, 0), one: state(1, 0), both: state(1, 1) },
    steps: (['idle one', 'one both', 'both one', 'one idle'] as const).map((step, at) => {
      const [from = '', to = ''] = step.split(' ')
      return { from, to, afterMs: waits[at] ?? 0 }
    }),
  }))
}

/** The movements of a crossing, with an all-red time between them. */
const crossing = (groups: readonly (readonly string[])[]): fc.Arbitrary<Constraint> =>
  fc.constantFrom(20, 100, 500).map((afterMs) => ({ rule: 'clearance', groups, afterMs }))

const wait = fc.constantFrom(0, 20, 100, 500)

function randomRule(outputs: readonly string[]): fc.Arbitrary<Constraint> {
  const output = fc.constantFrom(...outputs)
  const several = fc.shuffledSubarray([...outputs], {
    minLength: Math.min(2, outputs.length),
    maxLength: Math.min(5, outputs.length),
  })
  const limits = fc.constantFrom(
    { min: 1, max: 1 },
    { min: 0, max: 0 },
    { min: 30, max: 100 },
    { min: -40, max: 40 },
    { min: 1, max: 100 },
  )
  return fc.oneof(
    several.chain((some) =>
      fc.record({
        rule: fc.constant('mutex' as const),
        outputs: fc.constant(some),
        onMax: fc.integer({ min: 1, max: 2 }),
      }),
    ),
    several.chain((some) =>
      fc.record({
        rule: fc.constant('permissive' as const),
        outputs: fc.constant(some),
        together: fc.subarray(pairsOf(some)),
      }),
    ),
    clearance(several),
    clearance(several),
    fc.record({ rule: fc.constant('minimum' as const), output, onMs: wait, offMs: wait }),
    fc.record({
      rule: fc.constant('maximum-on' as const),
      output,
      onMs: fc.constantFrom(50, 300, 1000),
    }),
    fc.record({ range: limits, output }).map(({ range, output: name }) => ({
      rule: 'range' as const,
      output: name,
      ...range,
    })),
    fc.record({ rule: fc.constant('slew' as const), output, perS: fc.constantFrom(250, 500, 1000) }),
    fc.record({
      rule: fc.constant('rate' as const),
      output,
      changesMax: fc.integer({ min: 1, max: 3 }),
      perMs: fc.constantFrom(50, 1000),
    }),
    dependency(output, fc.constantFrom(...outputs), limits),
    dependency(output, fc.constantFrom(...outputs), limits),
  )
}

/** Movements that conflict: each output goes to one of two or three groups. */
const clearance = (several: fc.Arbitrary<string[]>): fc.Arbitrary<Constraint> =>
  fc
    .record({
      some: several,
      into: fc.infiniteStream(fc.nat({ max: 2 })),
      afterMs: fc.constantFrom(20, 100, 500),
    })
    .map(({ some, into, afterMs }) => {
      const groups: string[][] = [[], [], []]
      for (const name of some) groups[into.next().value ?? 0]?.push(name)
      return { rule: 'clearance', groups: groups.filter((group) => group.length > 0), afterMs }
    })

/** An output that needs an input to be on, or to be off. */
const watch = (outputs: readonly string[], inputs: readonly string[]): fc.Arbitrary<Constraint> =>
  dependency(
    fc.constantFrom(...outputs),
    fc.constantFrom(...inputs),
    fc.constantFrom({ min: 1, max: 100 }, { min: 1, max: 1 }),
  )

const dependency = (
  output: fc.Arbitrary<string>,
  needs: fc.Arbitrary<string>,
  limits: fc.Arbitrary<{ min: number; max: number }>,
): fc.Arbitrary<Constraint> =>
  fc.record({ output, needs, limits }).map(({ limits: range, ...names }) => ({
    rule: 'dependency',
    ...names,
    ...range,
  }))

const pairsOf = (names: readonly string[]): [string, string][] =>
  names.flatMap((one, at) => names.slice(at + 1).map((other): [string, string] => [one, other]))

export const outputNames = (config: Pick<KernelConfig, 'components'>): readonly string[] =>
  config.components.flatMap(({ id, outputs }) => outputs.map(({ name }) => `${id}.${name}`))

/** A plant with one to five parts. */
export const plants: fc.Arbitrary<KernelConfig> = fc
  .integer({ min: 1, max: 5 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => component(index))))
  .chain((components) => {
    const inputs = ['float', 'door']
    const base = { components, inputs }
    const names = outputNames(base)
    const motors = components
      .filter(({ id }) => id.startsWith('motor'))
      .map(({ id }): Constraint => ({ rule: 'mutex', outputs: [`${id}.ahead`, `${id}.back`] }))
    const heads = components.filter(({ id }) => id.startsWith('head'))
    const relays = components.map(({ id }) => id).filter((id) => id.startsWith('relay'))
    const greens = heads.map(({ id }) => [`${id}.green`, `${id}.yellow`])
    return fc
      .record({
        allRed: heads.length < 2 ? fc.constant([]) : fc.array(crossing(greens), { maxLength: 1 }),
        sequences: fc.tuple(...heads.map(({ id }) => headSequence(id))),
        chain: relays.length < 2 ? fc.constant([]) : fc.array(chainSequence(relays), { maxLength: 1 }),
        rules: fc.array(randomRule(names), { maxLength: 7, size: 'max' }),
        watches: fc.array(watch(names, inputs), { maxLength: 2 }),
        arming: fc.constantFrom('automatic' as const, 'automatic' as const, 'person' as const),
        silenceMsMax: fc.constantFrom(2000, 60_000),
      })
      .map(({ sequences, allRed, chain, rules, watches, ...rest }) => ({
        ...base,
        ...rest,
        hasConflictMonitor: true,
        rampTickMs: 20,
        startId: 'start0',
        constraints: [],
        more: [...motors, ...sequences, ...allRed, ...chain, ...watches, ...rules],
      }))
  })
  .map(({ more, ...config }) => ({ ...config, constraints: keepable(config, more) }))

function keepable(config: KernelConfig, constraints: readonly Constraint[]): readonly Constraint[] {
  const kept: Constraint[] = []
  for (const constraint of constraints) {
    if (opens({ ...config, constraints: [...kept, constraint] })) kept.push(constraint)
  }
  return kept
}

function opens(config: KernelConfig): boolean {
  try {
    new SafetyKernel(config, { faults: [] }, 0)
    return true
  } catch {
    return false
  }
}
