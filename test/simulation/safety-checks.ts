/**
 * What must hold of every vector that a kernel commits, worked out from the configuration, the vectors, the times and the
 * events alone. Independent of the kernel: it only listens.
 */
import type { Constraint, Fault, Lease, OutputValues } from '../../hal/contract/safety.ts'
import type { CommandRequest, KernelConfig, Step } from '../../hal/safety/kernel-types.ts'
import type { Call } from './safety-calls.ts'

type Rule<R extends Constraint['rule']> = Extract<Constraint, { rule: R }>

interface Known {
  readonly safe: number
  readonly part: string
  readonly min: number
  readonly max: number
  readonly slewPerS: number
}

/** What is wrong with a vector by itself, in words; empty when nothing. */
export function vectorFaults(config: KernelConfig, vector: OutputValues, inputs: OutputValues): string[] {
  const on = (name: string) => vector[name] !== 0
  const value = (name: string) => vector[name] ?? inputs[name] ?? Number.NaN
  const broken = (constraint: Constraint): boolean => {
    switch (constraint.rule) {
      case 'mutex':
        return constraint.outputs.filter(on).length > (constraint.onMax ?? 1)
      case 'permissive': {
        const { outputs, together } = constraint
        const allowed = (x: string, y: string) =>
          together.some((pair) => pair.includes(x) && pair.includes(y))
        return outputs.some((x) => outputs.some((y) => x !== y && on(x) && on(y) && !allowed(x, y)))
      }
      case 'clearance':
        return constraint.groups.filter((group) => group.some(on)).length > 1
      case 'range':
        return !(value(constraint.output) >= constraint.min && value(constraint.output) <= constraint.max)
      case 'dependency': {
        const needed = value(constraint.needs)
        return on(constraint.output) && !(needed >= constraint.min && needed <= constraint.max)
      }
      case 'sequence':
        return stateOf(constraint, vector) === undefined
      default:
        return false
    }
  }
  const specs = config.components.flatMap(({ id, outputs }) =>
    outputs
      .filter(({ name, min, max }) => !(value(`${id}.${name}`) >= min && value(`${id}.${name}`) <= max))
      .map(({ name }) => `limits of ${id}.${name}`),
  )
  return [...specs, ...config.constraints.filter(broken).map((constraint) => JSON.stringify(constraint))]
}

export function stateOf(rule: Rule<'sequence'>, vector: OutputValues): string | undefined {
  const is = (state: OutputValues) => rule.outputs.every((name) => state[name] === vector[name])
  return Object.keys(rule.states).find((name) => is(rule.states[name] ?? {}))
}

/** Follows one run. Throws an Error that says which invariant was broken. */
export class Checks {
  readonly #config: KernelConfig
  readonly #known: ReadonlyMap<string, Known>
  readonly #leases = new Map<string, { readonly lease: Lease; untilMs: number }>()
  readonly #changedMs = new Map<Constraint, number[]>()
  #faults: readonly Fault[] = []
  #inputs: Record<string, number> = {}
  #vector: OutputValues
  /** When each output last turned on or off, and each sequence entered its state. */
  #switchedMs = new Map<string, number>()
  #enteredMs = new Map<Constraint, number>()
  #lastMs = 0
  /** Sequences that left somebody's hands before they were safe. */
  readonly #walking = new Set<Constraint>()

  constructor(config: KernelConfig, vector: OutputValues) {
    this.#config = config
    this.#vector = vector
    this.#known = new Map(
      config.components.flatMap(({ id, outputs }) =>
        outputs.map(({ name, safe, min, max, slewPerS }) => [
          `${id}.${name}`,
          { safe, part: id, min, max, slewPerS: this.#slewOf(`${id}.${name}`, slewPerS) },
        ]),
      ),
    )
    this.#start(0)
  }

  /** After a call: `vector` and `armed` are what the kernel says that they are now. */
  after(call: Call, step: Step & { denial?: unknown }, nowMs: number, vector: OutputValues, armed: boolean) {
    if (call.name === 'restart') this.#restart(nowMs)
    if (call.name === 'input') this.#inputs[call.input] = call.value
    this.#followLeases(call, step, nowMs)
    for (const [index, write] of step.writes.entries()) {
      const last = index === step.writes.length - 1
      const asked = call.name === 'command' && !step.denial && last && asksFor(call.request, write)
      this.#committed({ ...this.#vector, ...write }, step, nowMs, asked)
    }
    must(
      JSON.stringify(vector) === JSON.stringify({ ...vector, ...this.#vector }),
      'kernel-1: what was written is not what the kernel says',
    )
    this.#standing(nowMs, armed)
    this.#lastMs = nowMs
  }

  #slewOf(name: string, own = Number.POSITIVE_INFINITY): number {
    const rules = this.#config.constraints.filter((c) => c.rule === 'slew' && c.output === name)
    return Math.min(own, ...rules.map((rule) => (rule as Rule<'slew'>).perS))
  }

  #start(nowMs: number): void {
    for (const name of this.#known.keys()) this.#switchedMs.set(name, nowMs)
    for (const constraint of this.#config.constraints) this.#enteredMs.set(constraint, nowMs)
  }

  #restart(nowMs: number): void {
    this.#leases.clear()
    this.#walking.clear()
    this.#changedMs.clear()
    this.#inputs = {}
    this.#vector = Object.fromEntries([...this.#known].map(([name, { safe }]) => [name, safe]))
    this.#start(nowMs)
  }

  /** Leases by what was granted, renewed and told to end; expiry by our own reckoning. */
  #followLeases(call: Call, step: Step & { denial?: unknown }, nowMs: number): void {
    for (const event of step.events) {
      if (event.type === 'lease-ended') {
        must(this.#leases.delete(event.lease.id), 'kernel-9: a lease ended that was not alive')
        this.#startWalks(event.lease.components)
      }
      if (event.type === 'lease-granted') {
        this.#leases.set(event.lease.id, { lease: event.lease, untilMs: nowMs + event.lease.ttlMs })
      }
      if (event.type === 'fault') this.#faults = [...this.#faults, event.fault]
      if (event.type === 'fault-cleared') this.#faults = this.#faults.filter((f) => f.id !== event.fault.id)
      if (event.type === 'forced-safe') {
        this.#startWalks(event.outputs.map((name) => this.#known.get(name)?.part ?? ''))
      }
    }
    if (call.name === 'renew' && !step.denial) {
      const held = this.#leases.get(call.id)
      must(held !== undefined, 'kernel-9: a lease was renewed that was not alive')
      if (held) held.untilMs = nowMs + held.lease.ttlMs
    }
  }

  #startWalks(parts: readonly string[]): void {
    for (const rule of this.#config.constraints) {
      if (rule.rule !== 'sequence') continue
      if (rule.outputs.some((name) => parts.includes(this.#known.get(name)?.part ?? '')))
        this.#walking.add(rule)
    }
  }

  #committed(next: OutputValues, step: Step, nowMs: number, asked: boolean): void {
    const faults = vectorFaults(this.#config, next, this.#inputs)
    must(faults.length === 0, `kernel-1: ${JSON.stringify(next)} breaks ${faults.join('; ')}`)
    const before = this.#vector
    for (const constraint of this.#config.constraints) {
      if (constraint.rule === 'sequence') this.#checkSequence(constraint, before, next, step, nowMs)
      if (constraint.rule === 'minimum') this.#checkMinimum(constraint, before, next, step, nowMs)
      if (constraint.rule === 'clearance') this.#checkClearance(constraint, before, next, nowMs)
      if (constraint.rule === 'rate' && asked) this.#checkRate(constraint, before, next, step, nowMs)
    }
    for (const [name, { slewPerS, safe }] of this.#known) {
      const [from = 0, to = 0] = [before[name], next[name]]
      if (from === to) continue
      const elapsedMs = Math.min(nowMs - this.#lastMs, this.#config.rampTickMs)
      const ramps = Math.abs(to - from) <= (slewPerS * elapsedMs) / 1000 + 1e-9
      const slewed = slewPerS !== Number.POSITIVE_INFINITY
      const mayMove = (slewed ? ramps : asked) || this.#walks(name)
      must(
        mayMove || (to === safe && this.#mayGoSafe(name, step)),
        `kernel-5, kernel-8: ${name} went from ${from} to ${to} for no reason`,
      )
      if ((from === 0) !== (to === 0)) this.#switchedMs.set(name, nowMs)
    }
    this.#vector = next
  }

  /** A reason other than a command for this output to go safe in this step. */
  #mayGoSafe(name: string, { events, emergency }: Step): boolean {
    const part = this.#known.get(name)?.part ?? ''
    return (
      emergency ||
      this.#walks(name) ||
      events.some(
        (event) =>
          (event.type === 'lease-ended' && event.lease.components.includes(part)) ||
          (event.type === 'forced-safe' && event.outputs.includes(name)),
      )
    )
  }

  #walks(name: string): boolean {
    return [...this.#walking].some((rule) => (rule as Rule<'sequence'>).outputs.includes(name))
  }

  #checkSequence(
    rule: Rule<'sequence'>,
    before: OutputValues,
    next: OutputValues,
    step: Step,
    nowMs: number,
  ) {
    const from = stateOf(rule, before)
    const to = stateOf(rule, next)
    if (from === to) return
    const { afterMs = Number.POSITIVE_INFINITY } =
      rule.steps.find((allowed) => allowed.from === from && allowed.to === to) ?? {}
    const inTime = nowMs - (this.#enteredMs.get(rule) ?? 0) >= afterMs
    const safe = rule.outputs.every((name) => next[name] === this.#known.get(name)?.safe)
    const { emergency, events } = step
    const forced = events.some(
      (e) => e.type === 'forced-safe' && e.outputs.some((o) => rule.outputs.includes(o)),
    )
    must(inTime || (safe && (emergency || forced)), `kernel-2: ${from} to ${to} at ${nowMs}`)
    this.#enteredMs.set(rule, nowMs)
  }

  #checkMinimum(rule: Rule<'minimum'>, before: OutputValues, next: OutputValues, step: Step, nowMs: number) {
    const { output, onMs = 0, offMs = 0 } = rule
    const sinceMs = nowMs - (this.#switchedMs.get(output) ?? 0)
    const [from, to] = [before[output] !== 0, next[output] !== 0]
    if (!from && to) must(sinceMs >= offMs, `kernel-3: ${output} on after ${sinceMs} of ${offMs} ms off`)
    if (from && !to && sinceMs < onMs) {
      must(this.#mayGoSafe(output, step), `kernel-3: ${output} off after ${sinceMs} of ${onMs} ms on`)
    }
  }

  #checkClearance(
    { groups, afterMs }: Rule<'clearance'>,
    before: OutputValues,
    next: OutputValues,
    nowMs: number,
  ) {
    const lit = (group: readonly string[], vector: OutputValues) => group.some((name) => vector[name] !== 0)
    for (const group of groups) {
      if (lit(group, before) || !lit(group, next)) continue
      for (const name of groups.filter((other) => other !== group).flat()) {
        const offForMs = before[name] === 0 ? nowMs - (this.#switchedMs.get(name) ?? 0) : 0
        must(offForMs >= afterMs, `kernel-12: ${group} on when ${name} was off ${offForMs} of ${afterMs} ms`)
      }
    }
  }

  /** What slews changes on the wire later than it was commanded to: the reference model counts those. */
  #checkRate(rule: Rule<'rate'>, before: OutputValues, next: OutputValues, step: Step, nowMs: number): void {
    const { safe, slewPerS } = this.#known.get(rule.output) ?? {}
    const [from, to] = [before[rule.output], next[rule.output]]
    if (from === to || slewPerS !== Number.POSITIVE_INFINITY) return
    if (to === safe && this.#mayGoSafe(rule.output, step)) return
    const times = [...(this.#changedMs.get(rule) ?? []), nowMs]
    this.#changedMs.set(rule, times)
    const recent = times.filter((atMs) => nowMs - atMs < rule.perMs)
    must(recent.length <= rule.changesMax, `kernel-5: ${rule.output} changed ${recent.length} times`)
  }

  /** What must hold between calls. */
  #standing(nowMs: number, armed: boolean): void {
    for (const rule of this.#walking) {
      if ((rule as Rule<'sequence'>).outputs.every((name) => this.#isSafe(name))) this.#walking.delete(rule)
    }
    const faults = vectorFaults(this.#config, this.#vector, this.#inputs)
    must(faults.length === 0, `kernel-1: ${JSON.stringify(this.#vector)} breaks ${faults.join('; ')}`)
    const held = new Set([...this.#leases.values()].flatMap(({ lease }) => lease.components))
    for (const { lease, untilMs } of this.#leases.values()) {
      must(nowMs < untilMs, `kernel-7: lease ${lease.id} outlived its time`)
    }
    const walking = new Set([...this.#walking].flatMap((rule) => (rule as Rule<'sequence'>).outputs))
    const faulty = this.#faultyParts()
    for (const [name, { part }] of this.#known) {
      if (this.#isSafe(name)) continue
      must(held.has(part) || walking.has(name), `kernel-6: ${name} is not safe and nobody holds it`)
      must(armed, `kernel-6: ${name} is not safe and nothing is armed`)
      must(!faulty.has(part), `kernel-10: ${name} is not safe beside a fault`)
    }
    must(armed || held.size === 0, 'kernel-6: a lease without arming')
    for (const rule of this.#config.constraints) {
      if (rule.rule !== 'maximum-on' || this.#vector[rule.output] === 0) continue
      const sinceMs = nowMs - (this.#switchedMs.get(rule.output) ?? 0)
      must(sinceMs < rule.onMs, `kernel-4: ${rule.output} is on for ${sinceMs} ms`)
    }
  }

  #isSafe(name: string): boolean {
    return this.#vector[name] === this.#known.get(name)?.safe
  }

  /** Parts of latched faults and all that share rules with them. */
  #faultyParts(): ReadonlySet<string> {
    const faulty = new Set(this.#faults.flatMap(({ components }) => components))
    const meeting = this.#config.constraints.map((constraint) => {
      const names =
        'outputs' in constraint
          ? constraint.outputs
          : 'groups' in constraint
            ? constraint.groups.flat()
            : [constraint.output, ...('needs' in constraint ? [constraint.needs] : [])]
      return names.flatMap((name) => this.#known.get(name)?.part ?? [])
    })
    for (let size = -1; size !== faulty.size; ) {
      size = faulty.size
      for (const parts of meeting) {
        if (parts.some((part) => faulty.has(part))) for (const part of parts) faulty.add(part)
      }
    }
    return faulty
  }
}

/** The write is what the command asked for, or part of it; otherwise it is what had become due before. */
function asksFor({ component, changes }: CommandRequest, write: OutputValues): boolean {
  const asked = new Map(Object.entries(changes).map(([local, value]) => [`${component}.${local}`, value]))
  return Object.entries(write).every(([name, value]) => asked.get(name) === value)
}

function must(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(message)
}
