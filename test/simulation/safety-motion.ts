/**
 * How the reference's vector moves: what has to go safe, with all that this entails, and what slews. Worked out from the
 * history each time.
 */
import type { Constraint, OutputValues } from '../../hal/contract/safety.ts'
import type { KernelConfig } from '../../hal/safety/kernel-types.ts'
import { stateOf, vectorFaults } from './safety-checks.ts'
import { type History, outputsOf, type Sequence } from './safety-history.ts'

/** A unit goes safe as one: a sequence's outputs, or one output. */
interface Unit {
  readonly outputs: readonly string[]
  readonly rule?: Sequence
}
/** How far a unit is driven: 1 walks, 2 jumps. */
export type Levels = Map<Unit, number>

export class Motion {
  readonly #config: KernelConfig
  readonly #history: History
  readonly #nowMs: number
  readonly #units: readonly Unit[]

  constructor(config: KernelConfig, history: History, nowMs: number) {
    this.#config = config
    this.#history = history
    this.#nowMs = nowMs
    const sequences = config.constraints.filter((rule) => rule.rule === 'sequence')
    const alone = history.outputs.filter(({ name }) => sequences.every((s) => !s.outputs.includes(name)))
    this.#units = [
      ...sequences.map((rule) => ({ rule, outputs: rule.outputs })),
      ...alone.map(({ name }) => ({ outputs: [name] })),
    ]
  }

  raise(parts: readonly string[], level: number, levels: Levels): void {
    for (const unit of this.#units) {
      if (!unit.outputs.some((name) => parts.includes(name.split('.')[0] ?? ''))) continue
      levels.set(unit, Math.max(level, levels.get(unit) ?? 0))
    }
  }

  /** Rounds: look at what results, drive further whoever breaks a rule in it, look again. */
  settle(levels: Levels): OutputValues {
    const history = this.#history
    for (const unit of this.#units) {
      if (unit.rule && history.walks(unit.rule) && !levels.has(unit)) levels.set(unit, 1)
    }
    for (;;) {
      const proposed = Object.assign({}, ...this.#units.map((unit) => this.#proposal(unit, levels)))
      const driven = new Set(this.#brokenBy(proposed).flatMap((tiers) => this.#whom(tiers, proposed, levels)))
      if (driven.size === 0) {
        this.#aim(proposed, levels)
        return proposed
      }
      for (const unit of driven) levels.set(unit, (levels.get(unit) ?? 0) + 1)
    }
  }

  #safe(name: string): number {
    return this.#history.outputs.find((output) => output.name === name)?.safe ?? 0
  }

  #proposal(unit: Unit, levels: Levels): OutputValues {
    const now = this.#history.vector()
    const level = levels.get(unit) ?? 0
    const same = Object.fromEntries(unit.outputs.map((name) => [name, now[name] ?? 0]))
    const safe = Object.fromEntries(unit.outputs.map((name) => [name, this.#safe(name)]))
    if (level === 0) return same
    if (level > 1 || !unit.rule) return safe
    return this.#nextOnWay(unit.rule) ?? same
  }

  /** The state that the walk enters now; undefined while it has to wait. */
  #nextOnWay(rule: Sequence): OutputValues | undefined {
    const vector = this.#history.vector()
    const from = stateOf(rule, vector) ?? ''
    const goal = Object.keys(rule.states).find((name) =>
      rule.outputs.every((output) => rule.states[name]?.[output] === this.#safe(output)),
    )
    const [step] = quickestWay(rule, from, goal ?? '').steps
    if (!step || this.#nowMs - this.#history.sinceMs((v) => stateOf(rule, v)) < step.afterMs) return undefined
    const next = rule.states[step.to] ?? {}
    const tooEarly = rule.outputs.some(
      (name) => vector[name] === 0 && next[name] !== 0 && this.tooEarly(name, next[name] ?? 0),
    )
    return tooEarly ? undefined : next
  }

  /** A least time speaks against turning it on, or off, now. */
  tooEarly(name: string, value: number): boolean {
    const on = this.#history.vector()[name] !== 0
    if (on === (value !== 0)) return false
    const forMs = this.#nowMs - this.#history.sinceMs((vector) => vector[name] !== 0)
    return this.#config.constraints.some(
      (c) => c.rule === 'minimum' && c.output === name && forMs < ((on ? c.onMs : c.offMs) ?? 0),
    )
  }

  broken(rule: Constraint, vector: OutputValues): boolean {
    if (rule.rule === 'clearance') return this.#tooSoonAfterOthers(rule.groups, rule.afterMs, vector)
    const one = { ...this.#config, components: [], constraints: [rule] }
    return vectorFaults(one, vector, this.#history.inputs()).length > 0
  }

  #tooSoonAfterOthers(
    groups: readonly (readonly string[])[],
    afterMs: number,
    vector: OutputValues,
  ): boolean {
    const history = this.#history
    const now = history.vector()
    const isOn = (group: readonly string[], values: OutputValues) => group.some((name) => values[name] !== 0)
    const isClear = (group: readonly string[]) =>
      !isOn(group, vector) &&
      !isOn(group, now) &&
      this.#nowMs - history.sinceMs((values) => isOn(group, values)) >= afterMs
    const turningOn = groups.filter((group) => isOn(group, vector) && !isOn(group, now))
    return turningOn.some((group) => groups.some((other) => other !== group && !isClear(other)))
  }

  /** For each broken rule: whom it drives, first choice first. */
  #brokenBy(vector: OutputValues): (readonly string[])[][] {
    const history = this.#history
    return this.#config.constraints.flatMap((rule): (readonly string[])[][] => {
      if (rule.rule === 'maximum-on') {
        const on = vector[rule.output] !== 0 && history.vector()[rule.output] !== 0
        const forMs = this.#nowMs - history.sinceMs((v) => v[rule.output] !== 0)
        return on && forMs >= rule.onMs ? [[[rule.output]]] : []
      }
      if (!isOfVector(rule) || !this.broken(rule, vector)) return []
      return [rule.rule === 'dependency' ? [[rule.output], [rule.needs]] : [outputsOf(rule)]]
    })
  }

  #whom(tiers: readonly (readonly string[])[], vector: OutputValues, levels: Levels): readonly Unit[] {
    for (const tier of tiers) {
      const left = this.#units.filter(
        (unit) =>
          unit.outputs.some((name) => tier.includes(name)) &&
          (levels.get(unit) ?? 0) < 2 &&
          unit.outputs.some((name) => vector[name] !== this.#safe(name)),
      )
      const onTheirWay = left.filter((unit) => levels.get(unit) === 1)
      if (left.length > 0) return onTheirWay.length > 0 ? onTheirWay : left
    }
    return []
  }

  #aim(vector: OutputValues, levels: Levels): void {
    for (const [unit, level] of levels) {
      if (level === 0) continue
      for (const output of unit.outputs) this.want(output, vector[output] ?? 0, false)
      const on = unit.outputs.some((name) => vector[name] !== this.#safe(name))
      if (unit.rule) this.#history.facts.push({ what: 'walk', rule: unit.rule, on, atMs: this.#nowMs })
    }
  }

  want(output: string, value: number, counted: boolean): void {
    this.#history.facts.push({ what: 'wanted', output, value, counted, atMs: this.#nowMs })
  }

  /** Each slewing output in its turn, by what is left of the others' moves. */
  ramp(settled: OutputValues): OutputValues {
    let vector = settled
    for (const [output, perS] of slewLimits(this.#config)) {
      const history = this.#history
      const value = history.vector()[output] ?? 0
      const target = history.target(output)
      const sinceMs = history.last('slewed', (fact) => fact.output === output)?.atMs ?? 0
      const elapsedMs = Math.min(this.#nowMs - sinceMs, this.#config.rampTickMs)
      if (vector[output] !== value || value === target || elapsedMs <= 0) continue
      history.facts.push({ what: 'slewed', output, atMs: this.#nowMs })
      const reach = (perS * elapsedMs) / 1000
      const moved = Math.max(value - reach, Math.min(value + reach, target))
      const next = { ...vector, [output]: moved }
      const breaks = this.#config.constraints.some((rule) => isOfVector(rule) && this.broken(rule, next))
      if (!breaks && !this.tooEarly(output, moved)) vector = next
    }
    return vector
  }
}

/** Over the vector, and what it follows: a ramp's move can break it. */
export const isOfVector = ({ rule }: Constraint): boolean =>
  ['mutex', 'permissive', 'dependency', 'clearance'].includes(rule)

/** Slewing outputs in the order of the configuration, with their tightest limit. */
export function slewLimits({ components, constraints }: KernelConfig): ReadonlyMap<string, number> {
  const limits = new Map<string, number>()
  for (const { id, outputs } of components) {
    for (const { name, slewPerS } of outputs) {
      const rules = constraints.filter((c) => c.rule === 'slew' && c.output === `${id}.${name}`)
      const all = [slewPerS ?? [], ...rules.map((rule) => (rule.rule === 'slew' ? rule.perS : []))].flat()
      if (all.length > 0) limits.set(`${id}.${name}`, Math.min(...all))
    }
  }
  return limits
}

type Step = Sequence['steps'][number]

/** Tries every way that passes no state twice. */
function quickestWay(
  rule: Sequence,
  from: string,
  goal: string,
  passed: readonly string[] = [],
): { readonly steps: readonly Step[]; readonly takesMs: number } {
  if (from === goal) return { steps: [], takesMs: 0 }
  const ways = rule.steps
    .filter((step) => step.from === from && !passed.includes(step.to))
    .map((step) => {
      const rest = quickestWay(rule, step.to, goal, [...passed, from])
      return { steps: [step, ...rest.steps], takesMs: step.afterMs + rest.takesMs }
    })
  const none = { steps: [], takesMs: Number.POSITIVE_INFINITY }
  return ways.reduce((best, way) => (way.takesMs < best.takesMs ? way : best), none)
}
