/**
 * Drives the pure kernel: gives it the time, the inputs and what was read back, and writes what it decides. It owns every
 * output of the device; nothing else writes.
 *
 * Invariants: [safety-1] an output changes only because a step of the kernel says so, or toward safe; [safety-3] every
 * failure to write, to read back or to look at an input reaches the kernel; [safety-5] emergency stop and conflict monitor
 * are looked at by edges and in every cycle. Calls are synchronous up to the outputs: what was answered was written.
 */
import type { Command, CommandMeta } from '../contract/actuator.ts'
import type { Board } from '../contract/board.ts'
import type { Telemetry } from '../contract/component.ts'
import type { Driver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { Io } from '../contract/io.ts'
import type { Denial, Lease, LeaseRequest, OutputValues, SafetyStatus } from '../contract/safety.ts'
import { Audit, type AuditEntry } from './audit.ts'
import {
  type DrivenActuator,
  drivenActuators,
  kernelConfig,
  paceOf,
  safeValues,
  silenceMsMax,
} from './driven.ts'
import { FaultsStore } from './faults-store.ts'
import { SafetyInputs } from './inputs.ts'
import { Journal } from './journal.ts'
import { SafetyKernel } from './kernel.ts'
import type { Kernel } from './kernel-types.ts'
import { Outputs, type SinkFailure } from './outputs.ts'
import type { SafetyPlan } from './plan.ts'
import { localValues, Reports } from './reports.ts'
import { planSinks } from './sinks.ts'
import { Steps } from './steps.ts'
import { type Watchdog, WatchdogKeeper } from './watchdog.ts'

export interface SafetyHostDeps {
  readonly host: Host
  readonly io: Io
  /** Says which lines share a chip. */
  readonly board: Board | undefined
  readonly drivers: readonly Driver[]
  /** Opens the watchdog of the configuration. */
  readonly openWatchdog?: () => Watchdog
  /** Signs of life of the control loop so far. */
  readonly beats: () => number
  readonly onTelemetry: (component: string, telemetry: Telemetry) => void
  /** Arming, faults, emergency stop or watchdog changed; faults are on the disk by then, or the disk refused. */
  readonly onChange: (status: SafetyStatus) => void
}

/** What is opened before the host is. */
interface Parts {
  readonly deps: SafetyHostDeps
  readonly plan: SafetyPlan
  readonly actuators: readonly DrivenActuator[]
  readonly kernel: Kernel
  readonly outputs: Outputs
  readonly journal: Journal
  readonly audit: Audit
}

export class SafetyHost implements AsyncDisposable {
  readonly #parts: Parts
  readonly #actuators: ReadonlyMap<string, DrivenActuator>
  readonly #steps: Steps
  readonly #inputs: SafetyInputs
  readonly #reports: Reports
  readonly #watchdog: WatchdogKeeper
  readonly #cycleMs: number
  /** Parts that said that they are stalled: told once. */
  readonly #stalled = new Set<string>()
  #beats: number
  #aliveAtMs: number
  #shown = ''
  #nextCycle: Cancel | undefined
  #closed: Promise<void> | undefined

  private constructor(parts: Parts) {
    const { deps, actuators, plan, kernel, outputs, journal } = parts
    const { host, io } = deps
    this.#parts = parts
    this.#actuators = new Map(actuators.map((actuator) => [actuator.planned.component, actuator]))
    this.#cycleMs = paceOf(actuators).cycleMs
    this.#reports = new Reports(actuators, host.clock, deps.onTelemetry)
    const onEvents = () => this.#changed()
    this.#steps = new Steps({ host, kernel, outputs, reports: this.#reports, journal, onEvents })
    this.#inputs = new SafetyInputs(plan.config, { io, log: host.log, onEdge: () => this.#onEdge() })
    this.#watchdog = new WatchdogKeeper(deps.openWatchdog, host.clock, host.log)
    this.#beats = deps.beats()
    this.#aliveAtMs = host.clock.monotonicMs()
  }

  /**
   * Opens every output at its safe value, takes the latched faults from the disk, looks at everything once and arms where
   * that is automatic. Parts that fail are faults, not errors. Throws HalError for a plan that cannot be kept.
   */
  static async open(deps: SafetyHostDeps, plan: SafetyPlan, signal: AbortSignal): Promise<SafetyHost> {
    const { host, io, board } = deps
    const { clock, log } = host
    const actuators = drivenActuators(plan, deps.drivers)
    const store = new FaultsStore(plan.safetyDir)
    const ids = actuators.map(({ planned }) => planned.id)
    const faults = await store.load(ids, clock.nowMs())
    const audit = new Audit(plan.safetyDir, { clock, onTrouble: (message) => log.error(message) })
    const journal = new Journal(host, store, audit)
    const startId = Math.floor(host.random() * 36 ** 6).toString(36)
    const config = kernelConfig(plan, actuators, startId)
    const kernel = new SafetyKernel(config, { faults }, clock.monotonicMs())
    const sinks = planSinks(actuators, { io, host, board })
    const { outputs, failures } = await Outputs.open(sinks, safeValues(actuators), host, signal)
    const opened = new SafetyHost({ deps, plan, actuators, kernel, outputs, journal, audit })
    journal.save(kernel.memory().faults)
    opened.#start(failures)
    return opened
  }

  /** What each component showed last. */
  telemetry(): ReadonlyMap<string, Telemetry> {
    return this.#reports.all()
  }

  acquire(request: LeaseRequest): Lease {
    const components = request.components.map(
      (component) => this.#actuator(component, 'acquire', request.principal).planned.id,
    )
    const asked = { ...request, components }
    const { lease, denial } = this.#steps.do((nowMs) => this.#parts.kernel.acquire(asked, nowMs))
    if (lease) return { ...lease, components: request.components }
    throw refusal(denial)
  }

  renew(leaseId: string): void {
    refuse(this.#steps.do((nowMs) => this.#parts.kernel.renew(leaseId, nowMs)).denial)
  }

  release(leaseId: string): void {
    this.#steps.do((nowMs) => this.#parts.kernel.release(leaseId, nowMs))
  }

  /** `issuedMs`: on this host's monotonic clock. Throws HalError. */
  command(component: string, command: Command, meta: CommandMeta, issuedMs: number): void {
    const { planned, driver } = this.#actuator(component, 'command', meta.principal)
    const { kernel } = this.#parts
    const now = localValues(planned.id, kernel.values())
    const request = {
      component: planned.id,
      // No lease has an empty id: a command without one is denied, and in the audit, as any other.
      leaseId: meta.lease?.id ?? '',
      sequence: meta.lease?.sequence ?? 0,
      principal: meta.principal,
      ttlMs: meta.ttlMs,
      issuedMs,
      changes: this.#planned(component, meta, () => driver.plan(command, planned.options, now)),
    }
    refuse(this.#steps.do((nowMs) => kernel.command(request, nowMs)).denial)
  }

  networkLost(): void {
    this.#steps.do((nowMs) => this.#parts.kernel.networkLost(nowMs))
  }

  endPrincipal(principal: string): void {
    this.#steps.do((nowMs) => this.#parts.kernel.endPrincipal(principal, nowMs))
  }

  /** Only for a person at the device, whose token was checked. */
  arm(): void {
    this.#look()
    refuse(this.#steps.do((nowMs) => this.#parts.kernel.arm('user', nowMs)).denial)
  }

  disarm(because: string): void {
    this.#steps.do((nowMs) => this.#parts.kernel.disarm(because, nowMs))
  }

  /** Only for a person at the device, whose token was checked. Resolves when the disk has it. */
  async clearFault(faultId: string): Promise<void> {
    this.#look()
    const { faults } = this.status()
    const fault = faults.find(({ id }) => id === faultId)
    if (!fault) {
      const there = faults.map(({ id }) => id).join(', ') || 'none'
      const why = `there is no fault ${faultId}; latched are: ${there}`
      throw this.#refused('clear-fault', 'user', new HalError('not-present', why))
    }
    const broken = fault.components.filter((part) => this.#isBroken(part))
    if (broken.length > 0) {
      const why = `${faultId}: ${broken.join(', ')} still cannot be driven`
      throw this.#refused('clear-fault', 'user', new HalError('permission', why), broken.join(' '))
    }
    refuse(this.#steps.do((nowMs) => this.#parts.kernel.clearFault(faultId, 'user', nowMs)).denial)
    try {
      await this.#parts.journal.settled()
    } catch (cause) {
      const message = `${faultId} is cleared, but will be back after a restart: the disk refused (${cause})`
      throw new HalError('other', message, { cause })
    }
  }

  status(): SafetyStatus {
    const status = this.#parts.kernel.status(this.#nowMs())
    const componentOf = new Map(
      [...this.#actuators].map(([component, { planned }]) => [planned.id, component]),
    )
    const leases = status.leases.map((lease) => ({
      ...lease,
      components: lease.components.map((part) => componentOf.get(part) ?? part),
    }))
    const { trouble } = this.#parts.journal
    const unstored = trouble === undefined ? {} : { faultsNotStored: trouble }
    return { ...status, leases, watchdog: this.#watchdog.state(), ...unstored }
  }

  /** For what the rest of the device wants in the same audit. */
  audit(entry: AuditEntry): void {
    this.#parts.audit.record(entry)
  }

  /** After a crash: the watchdog counts on until the next thread feeds it. */
  abandonWatchdog(): void {
    this.#watchdog.abandon()
  }

  /** Once closed: everything was driven safe. */
  get driven(): boolean {
    return this.#parts.outputs.driven
  }

  /** Drives everything safe, gives the outputs back, disarms the watchdog if that worked. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  #start(failures: readonly SinkFailure[]): void {
    for (const failure of failures) this.#steps.failed(failure)
    this.#steps.do((nowMs) => this.#parts.kernel.alive(nowMs))
    this.#cycle()
    this.#steps.do((nowMs) => this.#parts.kernel.startedUp(nowMs))
    this.audit({ what: 'started', who: 'device', message: `${this.#actuators.size} actuators` })
  }

  async #close(): Promise<void> {
    const { outputs, journal } = this.#parts
    this.#nextCycle?.()
    this.#steps[Symbol.dispose]()
    this.#inputs[Symbol.dispose]()
    await outputs[Symbol.asyncDispose]()
    if (outputs.driven) this.#watchdog[Symbol.dispose]()
    const message = outputs.driven ? 'outputs were driven safe' : 'not every output could be driven safe'
    this.audit({ what: 'stopped', who: 'device', message })
    await journal[Symbol.asyncDispose]()
  }

  /** Looks at everything, once. Only the end of a cycle in which all was well feeds the watchdog. */
  #cycle(): void {
    const { kernel, outputs } = this.#parts
    const isAlive = this.#look()
    const readBack = this.#steps.readBack()
    this.#lookForStalls()
    this.#steps.do((nowMs) => kernel.tick(nowMs))
    this.#watchdog.cycle(isAlive && outputs.healthy && this.#isAsWritten(readBack))
    this.#changed()
    this.#nextCycle = this.#parts.deps.host.clock.after(this.#cycleMs, () => this.#cycle())
  }

  /** Signs of life, and the inputs. True while the control loop is alive. */
  #look(): boolean {
    const { deps, kernel, plan } = this.#parts
    const beats = deps.beats()
    if (beats !== this.#beats) {
      this.#beats = beats
      this.#aliveAtMs = this.#nowMs()
      this.#steps.do((nowMs) => kernel.alive(nowMs))
    }
    const { emergencyStopClosed, monitorContent, inputs } = this.#inputs.read()
    if (emergencyStopClosed !== undefined)
      this.#steps.do((nowMs, epochMs) => kernel.emergencyStop(!emergencyStopClosed, nowMs, epochMs))
    if (monitorContent !== undefined)
      this.#steps.do((nowMs, epochMs) => kernel.conflictMonitor(monitorContent, nowMs, epochMs))
    for (const [name, value] of inputs) this.#steps.do((nowMs) => kernel.input(name, value, nowMs))
    return this.#nowMs() - this.#aliveAtMs <= silenceMsMax(plan)
  }

  #onEdge(): void {
    if (!this.#closed) this.#look()
  }

  #lookForStalls(): void {
    const found = this.#parts.outputs.stalled()
    for (const part of this.#stalled) if (!found.has(part)) this.#stalled.delete(part)
    for (const [part, complaints] of found) {
      if (this.#stalled.has(part)) continue
      this.#stalled.add(part)
      const message = `${part}: ${complaints.join('; ')}`
      this.#steps.do((nowMs, epochMs) => this.#parts.kernel.fault('stall', [part], message, nowMs, epochMs))
    }
  }

  /** Outputs that can be read back show what was written. */
  #isAsWritten(readBack: OutputValues): boolean {
    return [...this.#actuators.values()].every(({ planned, outputs }) =>
      outputs.every(({ name, readBackMsMax, readBackTolerance = 0 }) => {
        const read = readBack[`${planned.id}.${name}`]
        const written = this.#parts.outputs.wire(`${planned.id}.${name}`)
        if (readBackMsMax === undefined || read === undefined || written === undefined) return true
        return Math.abs(read - written) <= readBackTolerance
      }),
    )
  }

  /** Tells of a change that a person or the runtime cares about, when the disk has its faults. */
  #changed(): void {
    const { leases: _leases, outputs: _outputs, denials: _denials, ...told } = this.status()
    const shown = JSON.stringify(told)
    if (shown === this.#shown) return
    this.#shown = shown
    const tell = () => this.#parts.deps.onChange(this.status())
    this.#parts.journal.settled().then(tell, tell)
  }

  #isBroken(part: string): boolean {
    const { outputs, actuators } = this.#parts
    const actuator = actuators.find(({ planned }) => planned.id === part)
    return actuator?.outputs.some(({ name }) => outputs.isBroken(`${part}.${name}`)) ?? false
  }

  #planned(component: string, { principal }: CommandMeta, plan: () => OutputValues): OutputValues {
    try {
      return plan()
    } catch (error) {
      throw this.#refused('command', principal, error, this.#actuators.get(component)?.planned.id)
    }
  }

  #actuator(component: string, asked: 'acquire' | 'command', who: string): DrivenActuator {
    const actuator = this.#actuators.get(component)
    if (actuator) return actuator
    const there = [...this.#actuators.keys()].join(', ') || 'none'
    const why = `there is no attached actuator ${component}; there are: ${there}`
    throw this.#refused(asked, who, new HalError('not-present', why), component)
  }

  /** What is refused before the kernel sees it is in the audit as what the kernel refuses; its rule is the error's code. */
  #refused(asked: string, who: string, error: unknown, component?: string): unknown {
    const rule = error instanceof HalError ? error.code : 'other'
    const message = `${asked}: ${error instanceof Error ? error.message : error}`
    this.audit({ what: 'denied', who, rule, message, ...(component === undefined ? {} : { component }) })
    return error
  }

  #nowMs(): number {
    return this.#parts.deps.host.clock.monotonicMs()
  }
}

function refuse(denial: Denial | undefined): void {
  if (denial) throw refusal(denial)
}

function refusal({ rule, message }: Denial): HalError {
  return new HalError(rule === 'authority' ? 'busy' : 'permission', `${rule}: ${message}`)
}
