/**
 * A safety kernel to compare with: plain, slow, without state of its own. For each call it works everything out from the
 * configuration and the whole history, by the sentences of `hal/safety/constraints/README.md`.
 *
 * It says which vectors are committed and, where it refuses, every rule that speaks against the call.
 */
import type { Constraint, FaultCause, LeaseRequest, OutputValues } from '../../hal/contract/safety.ts'
import type { CommandRequest, KernelConfig } from '../../hal/safety/kernel-types.ts'
import type { Call } from './safety-calls.ts'
import { stateOf } from './safety-checks.ts'
import { History, outputsOf, type Sequence } from './safety-history.ts'
import { isOfVector, type Levels, Motion, slewLimits } from './safety-motion.ts'

/** Ids that the kernel gave, in its order: leases and faults go by their place here. */
export interface Given {
  readonly leases: string[]
  readonly faults: string[]
}

const rank = (principal: string): number =>
  principal === 'user' ? 3 : principal === 'mqtt' ? 2 : principal.startsWith('agent:') ? 1 : 0

export class SafetyReference {
  readonly #config: KernelConfig
  readonly #given: Given
  #history: History
  #motion: Motion
  #nowMs = 0
  #vectors: OutputValues[] = []
  /** Over all starts. */
  #grants = 0
  #latchings = 0

  constructor(config: KernelConfig, given: Given) {
    this.#config = config
    this.#given = given
    this.#history = new History(config, 0)
    this.#motion = new Motion(config, this.#history, 0)
  }

  get history(): History {
    return this.#history
  }

  /** The vectors that the call commits, in order, and what speaks against it. */
  answer(
    call: Call,
    nowMs: number,
  ): { readonly vectors: OutputValues[]; readonly refusals: ReadonlySet<string> } {
    this.#nowMs = nowMs
    this.#vectors = []
    this.#motion = new Motion(this.#config, this.#history, nowMs)
    return { refusals: new Set(this.#answer(call)), vectors: this.#vectors }
  }

  #answer(call: Call): readonly string[] {
    const history = this.#history
    const atMs = this.#nowMs
    if (call.name === 'restart') return this.#restart()
    if (call.name === 'input')
      history.facts.push({ what: 'input', input: call.input, value: call.value, atMs })
    const wrong = call.name === 'readBack' ? this.#differing(call.values) : []
    this.#due()
    switch (call.name) {
      case 'acquire':
        return this.#acquire(call.request)
      case 'command':
        return this.#command(call.request)
      case 'renew': {
        const lease = this.#given.leases.indexOf(call.id)
        const live = history.live().find((one) => one.lease === lease)
        if (!live) return ['lease']
        if (rank(live.principal) < rank('mqtt')) return ['authority']
        history.facts.push({ what: 'renewed', lease, atMs })
        return []
      }
      case 'release': {
        const lease = this.#given.leases.indexOf(call.id)
        return this.#endWhere((live) => live.lease === lease)
      }
      case 'networkLost': {
        const keeps = (id: string) => this.#part(id)?.keepWithoutNetwork
        return this.#endWhere(({ principal, parts }) => principal === 'mqtt' && !parts.every(keeps))
      }
      case 'endPrincipal':
        return this.#endWhere(({ principal }) => principal === call.principal)
      case 'readBack':
        return this.#latch('read-back', wrong)
      case 'writeFailed':
        return this.#latch(
          'write-failed',
          call.outputs.map((name) => name.split('.')[0] ?? ''),
        )
      case 'fault':
        return this.#latch(call.cause, call.components)
      default:
        return this.#attend(call)
    }
  }

  /** Calls about arming, faults and signs of life. */
  #attend(call: Call): readonly string[] {
    const { facts } = this.#history
    const atMs = this.#nowMs
    if (call.name === 'alive') facts.push({ what: 'alive', atMs }, { what: 'silent', on: false, atMs })
    if (call.name === 'startedUp') facts.push({ what: 'started', atMs })
    if (call.name === 'emergencyStop') this.#emergencyStop(call.on)
    if (call.name === 'conflictMonitor') this.#conflictMonitor(call.on)
    if (call.name === 'disarm') {
      facts.push({ what: 'kept-disarmed', on: true, atMs })
      this.#disarm()
    }
    if (call.name === 'arm') {
      const refusals = call.principal === 'user' ? this.#againstArming() : ['authority']
      if (refusals.length > 0) return refusals
      facts.push({ what: 'armed', on: true, atMs }, { what: 'kept-disarmed', on: false, atMs })
    }
    if (call.name === 'clearFault') {
      const refusals = this.#clear(call.id, call.principal)
      if (refusals.length > 0) return refusals
    }
    if (['startedUp', 'conflictMonitor', 'clearFault'].includes(call.name)) this.#armItself()
    return []
  }

  #part(id: string) {
    return this.#config.components.find((component) => component.id === id)
  }

  #restart(): readonly string[] {
    const latched = this.#history.latched()
    this.#history = new History(this.#config, this.#nowMs)
    this.#history.facts.push(...latched)
    this.#vectors.push(this.#history.vector())
    return []
  }

  /** What time alone brings about, and an input that is not what somebody needs it to be. */
  #due(): void {
    const history = this.#history
    const atMs = this.#nowMs
    const levels: Levels = new Map()
    const silentForMs = atMs - (history.last('alive')?.atMs ?? 0)
    if (!history.is('silent') && silentForMs >= this.#config.silenceMsMax) {
      history.facts.push({ what: 'silent', on: true, atMs })
      for (const live of history.live()) this.#end(live.lease, live.parts, levels)
    }
    for (const live of history.live()) {
      if (atMs >= history.endsAtMs(live)) this.#end(live.lease, live.parts, levels)
    }
    this.#commit(this.#motion.ramp(this.#motion.settle(levels)))
  }

  #end(lease: number, parts: readonly string[], levels: Levels): void {
    this.#history.facts.push({ what: 'ended', lease, atMs: this.#nowMs })
    this.#motion.raise(parts, 1, levels)
  }

  #commit(vector: OutputValues): void {
    const before = this.#history.vector()
    if (Object.keys(before).every((name) => before[name] === vector[name])) return
    this.#history.facts.push({ what: 'vector', values: { ...before, ...vector }, atMs: this.#nowMs })
    this.#vectors.push(this.#history.vector())
  }

  #stopped(parts: readonly string[]): string[] {
    const history = this.#history
    const faulty = history.faulty()
    return [
      ...(history.is('pressed') ? ['emergency-stop'] : []),
      ...(parts.some((part) => faulty.has(part)) ? ['fault'] : []),
      ...(history.is('armed') && !history.is('silent') ? [] : ['disarmed']),
    ]
  }

  #acquire({ components, principal, ttlMs }: LeaseRequest): readonly string[] {
    const history = this.#history
    const holder = (part: string) => history.live().find(({ parts }) => parts.includes(part))
    const refusals = this.#stopped(components)
    if (components.some((part) => !this.#part(part)) || !(ttlMs > 0)) refusals.push('lease')
    for (const part of components) {
      const held = holder(part)
      if (this.#part(part)?.exclusive && held && rank(held.principal) > rank(principal))
        refusals.push('authority')
    }
    if (refusals.length > 0) return refusals
    const levels: Levels = new Map()
    for (const held of new Set(components.flatMap((part) => holder(part) ?? []))) {
      const left = held.parts.filter((part) => !components.includes(part))
      this.#end(held.lease, left, levels)
    }
    for (const { name, part } of history.outputs) {
      if (components.includes(part)) this.#motion.want(name, history.vector()[name] ?? 0, false)
    }
    const lease = this.#grants++
    history.facts.push({ what: 'granted', lease, parts: components, principal, ttlMs, atMs: this.#nowMs })
    this.#bringAbout(levels)
    return []
  }

  #endWhere(which: (lease: ReturnType<History['live']>[number]) => boolean | undefined): readonly string[] {
    const levels: Levels = new Map()
    for (const live of this.#history.live().filter(which)) this.#end(live.lease, live.parts, levels)
    this.#bringAbout(levels)
    return []
  }

  #bringAbout(levels: Levels): void {
    if (levels.size > 0) this.#commit(this.#motion.settle(levels))
  }

  #command(request: CommandRequest): readonly string[] {
    const history = this.#history
    const atMs = this.#nowMs
    const part = this.#part(request.component)
    if (!part) return ['lease']
    const stopped = this.#stopped([part.id])
    if (stopped.length > 0) return stopped
    const held = history.live().find(({ parts }) => parts.includes(part.id))
    const lease = this.#given.leases.indexOf(request.leaseId)
    if (!held || held.lease !== lease || held.principal !== request.principal) return ['lease']
    const numbers = history.all('number').filter((fact) => fact.lease === lease)
    if (numbers.some(({ number }) => number >= request.sequence)) return ['sequence-number']
    history.facts.push({ what: 'number', lease, number: request.sequence, atMs })
    if (atMs - request.issuedMs > request.ttlMs) return ['expired']
    return this.#change(part.id, request.changes)
  }

  #change(part: string, changes: OutputValues): readonly string[] {
    const history = this.#history
    const wanted = new Map(Object.entries(changes).map(([local, value]) => [`${part}.${local}`, value]))
    const possible = [...wanted].every(([name, value]) => this.#canBe(name, value))
    if (!possible) return ['range']
    const sequenceOf = (name: string) => this.#sequences().find(({ outputs }) => outputs.includes(name))
    for (const [name, value] of wanted) {
      const sequence = sequenceOf(name)
      if (value === history.target(name) && !(sequence && history.walks(sequence))) wanted.delete(name)
    }
    const refusals = this.#againstChange(wanted)
    if (refusals.length > 0) return refusals
    const slewed = slewLimits(this.#config)
    const now = history.vector()
    for (const [name, value] of wanted) {
      // A ramp that begins has not moved before now.
      if (slewed.has(name) && history.target(name) === now[name]) {
        history.facts.push({ what: 'slewed', output: name, atMs: this.#nowMs })
      }
      history.facts.push({ what: 'wanted', output: name, value, counted: true, atMs: this.#nowMs })
    }
    const atOnce = [...wanted].filter(([name]) => !slewed.has(name))
    this.#commit({ ...now, ...Object.fromEntries(atOnce) })
    return []
  }

  #canBe(name: string, value: number): boolean {
    const spec = this.#config.components.flatMap(({ id, outputs }) =>
      outputs.filter((output) => `${id}.${output.name}` === name),
    )[0]
    if (!spec || (spec.type === 'binary' && value !== 0 && value !== 1)) return false
    const ranges = this.#config.constraints.filter((c) => c.rule === 'range' && c.output === name)
    return [spec, ...ranges].every((limits) => 'min' in limits && value >= limits.min && value <= limits.max)
  }

  #sequences(): Sequence[] {
    return this.#config.constraints.filter((rule) => rule.rule === 'sequence')
  }

  /** Everything that speaks against these outputs being commanded to these values. */
  #againstChange(wanted: ReadonlyMap<string, number>): readonly string[] {
    const history = this.#history
    const motion = this.#motion
    const slewed = slewLimits(this.#config)
    const now = history.vector()
    const atOnce = Object.fromEntries([...wanted].filter(([name]) => !slewed.has(name)))
    const inTheEnd = Object.fromEntries(
      [...slewed.keys()].map((name) => [name, wanted.get(name) ?? history.target(name)]),
    )
    const next = { ...now, ...atOnce }
    const touched = (rule: Constraint) => outputsOf(rule).some((name) => wanted.has(name))
    const broken = (rule: Constraint): boolean => {
      switch (rule.rule) {
        case 'minimum':
          return wanted.has(rule.output) && motion.tooEarly(rule.output, wanted.get(rule.output) ?? 0)
        case 'rate': {
          const changes = history
            .all('wanted')
            .filter(({ output, counted }) => counted && output === rule.output)
          const recent = changes.filter(({ atMs }) => this.#nowMs - atMs < rule.perMs)
          return wanted.has(rule.output) && recent.length >= rule.changesMax
        }
        case 'sequence':
          return touched(rule) && !this.#mayStep(rule, next)
        default:
          return (
            isOfVector(rule) &&
            touched(rule) &&
            [next, { ...next, ...inTheEnd }].some((v) => motion.broken(rule, v))
          )
      }
    }
    return this.#config.constraints.filter(broken).map(({ rule }) => rule)
  }

  #mayStep(rule: Sequence, next: OutputValues): boolean {
    const history = this.#history
    if (history.walks(rule)) return false
    const [from, to] = [stateOf(rule, history.vector()), stateOf(rule, next)]
    if (from === to) return true
    const forMs = this.#nowMs - history.sinceMs((vector) => stateOf(rule, vector))
    return rule.steps.some((step) => step.from === from && step.to === to && forMs >= step.afterMs)
  }

  /** Parts with an output whose readings, this one among them, differ for too long. */
  #differing(values: OutputValues): readonly string[] {
    const history = this.#history
    const before = history.vector()
    return this.#config.components.flatMap(({ id, outputs }) =>
      outputs.flatMap(({ name, readBackMsMax, readBackTolerance = 0 }) => {
        const output = `${id}.${name}`
        const measured = values[output] ?? Number.NaN
        const agrees = Math.abs(measured - (before[output] ?? 0)) <= readBackTolerance
        history.facts.push({ what: 'read', output, differs: !agrees, atMs: this.#nowMs })
        const sinceMs = history.differsSinceMs(output)
        return readBackMsMax !== undefined && sinceMs !== undefined && this.#nowMs - sinceMs > readBackMsMax
          ? [id]
          : []
      }),
    )
  }

  #latch(cause: FaultCause, parts: readonly string[]): readonly string[] {
    const levels: Levels = new Map()
    for (const part of parts) this.#addFault(cause, [part], levels)
    this.#bringAbout(levels)
    return []
  }

  #addFault(cause: FaultCause, named: readonly string[], levels: Levels): void {
    const history = this.#history
    const parts = history.sharing(named)
    const known = history.latched().filter((fault) => fault.cause === cause)
    if (parts.every((part) => known.some((fault) => fault.parts.includes(part)))) return
    history.facts.push({ what: 'latched', fault: this.#latchings++, cause, parts, atMs: this.#nowMs })
    for (const live of history.live()) {
      if (live.parts.some((part) => parts.includes(part))) this.#end(live.lease, live.parts, levels)
    }
    this.#motion.raise(parts, 2, levels)
  }

  #emergencyStop(pressed: boolean): void {
    const was = this.#history.is('pressed')
    this.#history.facts.push({ what: 'pressed', on: pressed, atMs: this.#nowMs })
    if (!pressed || was) return
    const all = this.#config.components.map(({ id }) => id)
    const known = this.#history.latched().some(({ cause }) => cause === 'emergency-stop')
    if (!known) {
      const fault = this.#latchings++
      this.#history.facts.push({
        what: 'latched',
        fault,
        cause: 'emergency-stop',
        parts: all,
        atMs: this.#nowMs,
      })
    }
    this.#disarm()
  }

  #conflictMonitor(content: boolean): void {
    const was = this.#history.is('content')
    this.#history.facts.push({ what: 'content', on: content, atMs: this.#nowMs })
    if (!was || content || !this.#history.is('armed')) return
    const all = this.#config.components
    const signals = all.filter(({ safetyClass }) => safetyClass === 'traffic-signal')
    const levels: Levels = new Map()
    const watched = (signals.length > 0 ? signals : all).map(({ id }) => id)
    this.#addFault('conflict-monitor', watched, levels)
    this.#bringAbout(levels)
  }

  #disarm(): void {
    const levels: Levels = new Map()
    for (const live of this.#history.live()) this.#end(live.lease, live.parts, levels)
    this.#history.facts.push({ what: 'armed', on: false, atMs: this.#nowMs })
    this.#motion.raise(
      this.#config.components.map(({ id }) => id),
      2,
      levels,
    )
    this.#bringAbout(levels)
  }

  /** What speaks against a person's arming. */
  #againstArming(): readonly string[] {
    const history = this.#history
    const faulty = history.faulty()
    const signal = this.#config.components.some(({ safetyClass }) => safetyClass === 'traffic-signal')
    return [
      ...(history.is('pressed') ? ['emergency-stop'] : []),
      ...(this.#config.components.every(({ id }) => faulty.has(id)) ? ['fault'] : []),
      ...(signal && !history.is('content') ? ['disarmed'] : []),
    ]
  }

  #armItself(): void {
    const history = this.#history
    const { arming, components } = this.#config
    const may = arming === 'automatic' && components.every(({ safetyClass }) => safetyClass === undefined)
    if (!may || history.is('kept-disarmed') || !history.last('started')) return
    if (history.is('pressed') || history.latched().length > 0) return
    history.facts.push({ what: 'armed', on: true, atMs: this.#nowMs })
  }

  #clear(id: string, principal: string): readonly string[] {
    const history = this.#history
    const fault = this.#given.faults.indexOf(id)
    const found = history.latched().find((latched) => latched.fault === fault)
    if (principal !== 'user') return ['authority']
    if (!found) return ['fault']
    if (found.cause === 'emergency-stop' && history.is('pressed')) return ['emergency-stop']
    if (found.cause === 'conflict-monitor' && !history.is('content')) return ['fault']
    history.facts.push({ what: 'cleared', fault, atMs: this.#nowMs })
    for (const { name, part } of history.outputs) {
      // What still differs gets its whole time again.
      if (found.parts.includes(part)) {
        history.facts.push({ what: 'read', output: name, differs: false, atMs: this.#nowMs })
      }
    }
    return []
  }
}
