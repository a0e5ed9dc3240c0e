/**
 * The safety kernel: says what may be on every output, from leases, rules, faults and the time that it is told. Pure and
 * deterministic; `kernel-types.ts` has the calls, `constraints/README.md` the numbered invariants.
 *
 * Every call first does what has become due (its own vector, committed as of `nowMs`), then what is asked (another).
 */
import type { Denial, FaultCause, LeaseRequest, OutputValues } from '../contract/safety.ts'
import { judge } from './kernel-command.ts'
import { clip, Draft } from './kernel-draft.ts'
import { Faults } from './kernel-faults.ts'
import { kindOf, Leases } from './kernel-leases.ts'
import type { Component, HeldLease, Input, Output } from './kernel-output.ts'
import { type Plan, planKernel } from './kernel-plan.ts'
import { differsTooLong } from './kernel-read-back.ts'
import { forcedMoveMs, nextMoveMs } from './kernel-settle.ts'
import { slew } from './kernel-slew.ts'
import type {
  AskedStep,
  CommandRequest,
  Kernel,
  KernelConfig,
  KernelMemory,
  KernelStatus,
  LeaseEnd,
  LeaseStep,
  Step,
} from './kernel-types.ts'

/** Clocks of two threads may be read this far apart: a command from further in the future is not believed. */
const futureMsMax = 1000

export class SafetyKernel implements Kernel {
  readonly #config: KernelConfig
  readonly #plan: Plan
  readonly #leases: Leases
  readonly #faults: Faults
  #nowMs: number
  #aliveAtMs: number
  #silent = false
  #armed = false
  #startedUp = false
  /** Somebody disarmed it: it does not arm itself again. */
  #keptDisarmed = false
  #denials = 0

  constructor(config: KernelConfig, memory: KernelMemory, nowMs: number) {
    this.#config = config
    this.#plan = planKernel(config, nowMs)
    this.#leases = new Leases(config.startId)
    this.#faults = new Faults(config, [...this.#plan.components.values()], memory)
    this.#nowMs = nowMs
    this.#aliveAtMs = nowMs
  }

  acquire(request: LeaseRequest, nowMs: number): LeaseStep {
    const draft = this.#begin(nowMs)
    const ids = [...new Set(request.components)]
    const found = ids.map((id) => this.#plan.components.get(id))
    const components = found.filter((component) => component !== undefined)
    const denial = this.#leases.refusal({ ...request, components: ids }, found) ?? this.#stopped(components)
    if (denial) {
      const { principal } = request
      return this.#denied(draft, { asked: 'acquire', principal, components: ids, denial })
    }
    for (const holder of new Set(components.map((component) => component.lease))) {
      if (holder) this.#takeOver(draft, holder, components)
    }
    const lease = this.#leases.grant({ ...request, components: ids }, components, this.#nowMs)
    draft.events.push({ type: 'lease-granted', lease })
    draft.settle()
    return { ...draft.step, lease }
  }

  renew(leaseId: string, nowMs: number): AskedStep {
    const draft = this.#begin(nowMs)
    const held = this.#leases.get(leaseId)
    if (!held) {
      const denial: Denial = { rule: 'lease', message: 'the lease has ended' }
      return this.#denied(draft, { asked: 'renew', principal: 'unknown', components: [], denial })
    }
    if (held.kind === 'agent' || held.kind === 'model') {
      const { principal, components } = held.lease
      const message = `${principal} may not extend a lease: it asks for a new one`
      const denial: Denial = { rule: 'authority', message }
      return this.#denied(draft, { asked: 'renew', principal, components, denial })
    }
    held.endsAtMs = this.#nowMs + held.lease.ttlMs
    return draft.step
  }

  release(leaseId: string, nowMs: number): Step {
    return this.#endLeases('released', nowMs, ({ lease }) => lease.id === leaseId)
  }

  networkLost(nowMs: number): Step {
    return this.#endLeases(
      'network-lost',
      nowMs,
      ({ kind, components }) => kind === 'mqtt' && !components.every((c) => c.config.keepWithoutNetwork),
    )
  }

  endPrincipal(principal: string, nowMs: number): Step {
    return this.#endLeases('principal-ended', nowMs, ({ lease }) => lease.principal === principal)
  }

  command(request: CommandRequest, nowMs: number): AskedStep {
    const draft = this.#begin(nowMs)
    const component = this.#plan.components.get(request.component)
    const judged = component
      ? this.#judge(component, request)
      : deny('lease', `there is no actuator "${clip(request.component)}"`)
    if ('denial' in judged) {
      const { principal, changes } = request
      const { denial } = judged
      const components = [request.component]
      return this.#denied(draft, { asked: 'command', principal, components, changes, denial })
    }
    draft.commit(judged.touched)
    return draft.step
  }

  tick(nowMs: number): Step {
    return this.#begin(nowMs).step
  }

  alive(nowMs: number): Step {
    const draft = this.#begin(nowMs)
    this.#aliveAtMs = this.#nowMs
    if (this.#silent) draft.events.push({ type: 'silence', silent: false })
    this.#silent = false
    return draft.step
  }

  input(name: string, value: number, nowMs: number): Step {
    const input = this.#plan.inputs.get(name)
    if (!input) throw new Error(`the safety kernel has no input "${name}"`)
    // Before anything that is due: a ramp must not go on by what the input was.
    input.value = value
    return this.#begin(nowMs, input).step
  }

  readBack(values: OutputValues, nowMs: number, epochMs: number): Step {
    // Judged against what was on the wire when it was read, before anything that is due now.
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    const wrong: { readonly component: Component; readonly message: string }[] = []
    for (const [name, value] of Object.entries(values)) {
      const output = this.#output(name)
      const message = differsTooLong(output, value, this.#nowMs)
      if (message !== undefined) wrong.push({ component: output.component, message })
    }
    const draft = this.#begin(nowMs)
    for (const { component, message } of wrong) {
      this.#latch(draft, 'read-back', [component], message, epochMs)
    }
    draft.settle()
    return draft.step
  }

  writeFailed(outputs: readonly string[], message: string, nowMs: number, epochMs: number): Step {
    const components = outputs.map((name) => this.#output(name).component.id)
    return this.fault('write-failed', components, message, nowMs, epochMs)
  }

  fault(
    cause: FaultCause,
    components: readonly string[],
    message: string,
    nowMs: number,
    epochMs: number,
  ): Step {
    const draft = this.#begin(nowMs)
    const found = components.map((id) => {
      const component = this.#plan.components.get(id)
      if (!component) throw new Error(`the safety kernel has no component "${id}"`)
      return component
    })
    this.#latch(draft, cause, found, message, epochMs)
    draft.settle()
    return draft.step
  }

  emergencyStop(pressed: boolean, nowMs: number, epochMs: number): Step {
    const draft = this.#begin(nowMs)
    const was = this.#faults.emergencyStop
    this.#faults.emergencyStop = pressed
    if (pressed && !was) {
      const all = [...this.#plan.components.values()]
      this.#latch(draft, 'emergency-stop', all, 'the emergency stop was pressed', epochMs)
      this.#disarm(draft, 'the emergency stop was pressed', 'emergency-stop')
    }
    return draft.step
  }

  conflictMonitor(content: boolean, nowMs: number, epochMs: number): Step {
    const draft = this.#begin(nowMs)
    const was = this.#faults.monitorContent
    this.#faults.monitorContent = content
    if (was && !content && this.#armed) {
      const message = 'the conflict monitor is not content'
      this.#latch(draft, 'conflict-monitor', this.#faults.monitored, message, epochMs)
      draft.settle()
    }
    this.#armItself(draft)
    return draft.step
  }

  startedUp(nowMs: number): Step {
    const draft = this.#begin(nowMs)
    this.#startedUp = true
    this.#armItself(draft)
    return draft.step
  }

  arm(principal: string, nowMs: number): AskedStep {
    const draft = this.#begin(nowMs)
    const denial = notAPerson(principal, 'arm') ?? this.#faults.inTheWay('person')[0]
    if (denial) return this.#denied(draft, { asked: 'arm', principal, components: [], denial })
    if (!this.#armed) draft.events.push({ type: 'armed', principal })
    this.#armed = true
    this.#keptDisarmed = false
    return draft.step
  }

  disarm(because: string, nowMs: number): Step {
    const draft = this.#begin(nowMs)
    this.#keptDisarmed = true
    this.#disarm(draft, because, 'disarmed')
    return draft.step
  }

  clearFault(faultId: string, principal: string, nowMs: number): AskedStep {
    const draft = this.#begin(nowMs)
    const fault = this.#faults.latched.find(({ id }) => id === faultId)
    const denial =
      notAPerson(principal, 'clear a fault') ??
      this.#faults.stillThere(fault, `there is no fault "${clip(faultId)}"`)
    if (denial) {
      const components = fault?.components ?? []
      return this.#denied(draft, { asked: 'clear-fault', principal, components, denial })
    }
    if (fault) {
      this.#faults.clear(fault)
      // What still differs gets its whole time again.
      for (const id of fault.components) {
        for (const output of this.#plan.components.get(id)?.outputs ?? []) output.differsSinceMs = undefined
      }
      draft.events.push({ type: 'fault-cleared', fault, principal })
    }
    this.#armItself(draft)
    return draft.step
  }

  nextWakeMs(): number {
    const moveMs = nextMoveMs(this.#plan, this.#config.rampTickMs)
    const silentMs = this.#silent ? Number.POSITIVE_INFINITY : this.#aliveAtMs + this.#config.silenceMsMax
    let atMs = Math.min(moveMs, silentMs)
    for (const { endsAtMs } of this.#leases.live) atMs = Math.min(atMs, endsAtMs)
    return atMs
  }

  values(): OutputValues {
    return Object.fromEntries([...this.#plan.outputs.values()].map(({ name, value }) => [name, value]))
  }

  memory(): KernelMemory {
    return { faults: [...this.#faults.latched] }
  }

  status(nowMs: number): KernelStatus {
    const leases = [...this.#leases.live].map(({ lease, endsAtMs }) => ({
      ...lease,
      leftMs: Math.max(0, endsAtMs - nowMs),
    }))
    const outputs = [...this.#plan.outputs.values()].map(({ name, value, safe }) => ({
      output: name,
      value,
      safe,
    }))
    return {
      armed: this.#armed,
      notArmedBecause: this.#armed ? [] : this.#notArmedBecause(),
      emergencyStop: this.#faults.emergencyStop,
      faults: [...this.#faults.latched],
      leases,
      outputs,
      denials: this.#denials,
    }
  }

  #notArmedBecause(): readonly string[] {
    const byItself = this.#faults.armsItself && !this.#keptDisarmed
    const found = this.#faults.inTheWay(byItself ? 'itself' : 'person').map(({ message }) => message)
    if (found.length > 0) return found
    return [byItself ? 'it has not finished starting' : 'a person at the device has to arm it']
  }

  /** Everything that is due at `nowMs`, also because of a changed input, as one committed vector. */
  #begin(nowMs: number, changed?: Input): Draft {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    const now = this.#nowMs
    const draft = new Draft(this.#plan, now)
    if (!this.#silent && now - this.#aliveAtMs >= this.#config.silenceMsMax) {
      this.#silent = true
      draft.events.push({ type: 'silence', silent: true })
      for (const held of this.#leases.live) this.#end(draft, held, 'silence')
    }
    for (const held of this.#leases.live) if (now >= held.endsAtMs) this.#end(draft, held, 'expired')
    const { outputs, slewed } = this.#plan
    const unmet = changed?.rules.some((rule) => rule.broken(now)) ?? false
    const due = unmet || draft.demanding || now >= forcedMoveMs(this.#plan)
    if (due) draft.force()
    draft.events.push(...slew(slewed, this.#config.rampTickMs, now))
    draft.commit(due ? outputs.values() : slewed)
    return draft
  }

  #judge(component: Component, request: CommandRequest) {
    const stopped = this.#stopped([component])
    if (stopped) return { denial: stopped }
    const { lease, leaseId, principal, sequence, ttlMs, issuedMs } = { ...request, lease: component.lease }
    if (!lease || lease.lease.id !== leaseId || lease.lease.principal !== principal) {
      return deny('lease', `${component.id}: the command comes without a live lease of ${clip(principal)}`)
    }
    if (!(Number.isSafeInteger(sequence) && sequence > lease.sequence)) {
      return deny('sequence-number', `${component.id}: command ${sequence} comes after ${lease.sequence}`)
    }
    // From here on the number is used up: what is refused now cannot be sent again later.
    lease.sequence = sequence
    const ageMs = this.#nowMs - issuedMs
    if (!(ageMs <= ttlMs && ageMs >= -futureMsMax)) {
      return deny('expired', `${component.id}: the command is ${ageMs} ms old, it was good for ${ttlMs} ms`)
    }
    return judge(component, request.changes, this.#plan.slewed, this.#nowMs)
  }

  /** What keeps these components safe whoever asks. */
  #stopped(components: readonly Component[]): Denial | undefined {
    if (this.#faults.emergencyStop) {
      return { rule: 'emergency-stop', message: 'the emergency stop is pressed' }
    }
    for (const component of components) {
      const denial = this.#faults.covering(component)
      if (denial) return denial
    }
    if (!this.#armed) {
      return { rule: 'disarmed', message: `not armed: ${this.#notArmedBecause().join('; ')}` }
    }
    if (!this.#silent) return undefined
    return { rule: 'disarmed', message: 'the control loop is silent' }
  }

  #takeOver(draft: Draft, holder: HeldLease, components: readonly Component[]): void {
    this.#end(draft, holder, 'taken-over', components)
    for (const component of components) {
      // What was on its way stays where it got to: whoever sent it there holds it no more.
      for (const output of component.outputs) output.target = output.value
    }
  }

  #endLeases(because: LeaseEnd, nowMs: number, which: (held: HeldLease) => boolean): Step {
    const draft = this.#begin(nowMs)
    for (const held of this.#leases.live) if (which(held)) this.#end(draft, held, because)
    draft.settle()
    return draft.step
  }

  /** Its components go safe, but for those that somebody else takes. */
  #end(draft: Draft, held: HeldLease, because: LeaseEnd, taken: readonly Component[] = []): void {
    this.#leases.end(held)
    draft.events.push({ type: 'lease-ended', lease: held.lease, because })
    for (const component of held.components) if (!taken.includes(component)) draft.demand(component, 1)
  }

  /** Drives the components, and all that share rules with them, safe at once. */
  #latch(
    draft: Draft,
    cause: FaultCause,
    components: readonly Component[],
    message: string,
    epochMs: number,
  ): void {
    const all = [...new Set(components.flatMap(({ group }) => group))]
    const fault = this.#faults.latch(cause, all, message, epochMs)
    if (!fault) return
    draft.events.push({ type: 'fault', fault })
    draft.emergency = true
    for (const component of all) {
      if (component.lease) {
        this.#end(draft, component.lease, cause === 'emergency-stop' ? 'emergency-stop' : 'fault')
      }
      draft.demand(component, 2)
      draft.rewrite(component)
    }
  }

  #disarm(draft: Draft, because: string, end: LeaseEnd): void {
    for (const held of this.#leases.live) this.#end(draft, held, end)
    for (const component of this.#plan.components.values()) draft.demand(component, 2)
    if (this.#armed) draft.events.push({ type: 'disarmed', because })
    this.#armed = false
    draft.emergency = true
    draft.settle()
  }

  #armItself(draft: Draft): void {
    if (this.#armed || this.#keptDisarmed || !this.#startedUp || !this.#faults.armsItself) return
    if (this.#faults.inTheWay('itself').length > 0) return
    this.#armed = true
    draft.events.push({ type: 'armed', principal: 'automatic' })
  }

  #output(name: string): Output {
    const output = this.#plan.outputs.get(name)
    if (!output) throw new Error(`the safety kernel has no output "${name}"`)
    return output
  }

  #denied(draft: Draft, what: Parameters<Draft['denied']>[0]) {
    this.#denials++
    return draft.denied(what)
  }
}

const deny = (rule: Denial['rule'], message: string): { readonly denial: Denial } => ({
  denial: { rule, message },
})

/** Faults and arming are for somebody who stands beside it. */
function notAPerson(principal: string, what: string): Denial | undefined {
  if (kindOf(principal) === 'person') return undefined
  return { rule: 'authority', message: `${clip(principal)} may not ${what}: a person at the device may` }
}
