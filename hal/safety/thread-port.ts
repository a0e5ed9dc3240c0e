/**
 * The safety thread as the rest of the device has it: starts it, hands requests over, starts it again when it is gone, and
 * keeps guard and control socket.
 *
 * Invariants: [safety-9] while the thread is down every command fails, actuators are `unavailable`, and the status says
 * so; it comes back safe, at once the first time, then with growing waits. A clean close says goodbye to the guard only
 * when the thread itself has driven everything safe.
 */
import { mkdirSync } from 'node:fs'
import type { Command, CommandMeta } from '../contract/actuator.ts'
import type { Telemetry } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { Lease, LeaseRequest, SafetyStatus } from '../contract/safety.ts'
import { sharedMonotonicMs } from '../thread-host.ts'
import type { AuditEntry } from './audit.ts'
import { ControlServer } from './control.ts'
import { silenceMsMax } from './driven.ts'
import { Guard, makeSafeNow } from './guard.ts'
import type { EmulatorLever, SafetyPlan, SafetyPort, SensorResult } from './plan.ts'
import { removePlan, writePlan } from './plan-file.ts'
import { ThreadLink } from './thread-link.ts'
import { TokenGate } from './token.ts'

const restartMs = { first: 0, second: 1_000, max: 30_000 }
/** A thread that lived this long may be started at once again. */
const wellMs = 60_000
/** Signs of life: five within the time that silence may last. */
const beatsPerSilence = 5
const beatEveryMsMax = 200
/** Lines for the audit that wait for the thread to be back. */
const auditMax = 16

type SensorListener = (part: string, result: SensorResult) => void

export class SafetyThread implements SafetyPort {
  readonly components: ReadonlySet<string>
  readonly #host: Host
  readonly #plan: SafetyPlan
  readonly #telemetry = new Map<string, Telemetry>()
  readonly #telemetryListeners = new Map<string, Set<(telemetry: Telemetry) => void>>()
  readonly #sensorListeners = new Set<SensorListener>()
  readonly #changeListeners = new Set<(status: SafetyStatus) => void>()
  readonly #closing = new AbortController()
  #link: ThreadLink | undefined
  #status: SafetyStatus
  #upSinceMs = 0
  #restartMs = restartMs.first
  #restart: NodeJS.Timeout | undefined
  #restarting: Promise<void> | undefined
  #auditWaiting: AuditEntry[] = []
  /** Outputs were in a thread's hands, and no thread has said since that it drove them safe. */
  #owesSafety = false
  #control: ControlServer | undefined
  #guard: Guard | undefined
  #closed: Promise<void> | undefined

  private constructor(host: Host, plan: SafetyPlan) {
    this.#host = host
    this.#plan = plan
    this.components = new Set(plan.actuators.map(({ component }) => component))
    this.#status = downStatus(undefined, 'the safety thread is starting')
    this.#setAllUnavailable()
  }

  /**
   * Resolves when every output is open and safe. Throws HalError: what is wrong with the plan, `busy` when another process
   * uses the safety directory, `timeout`.
   */
  static async open(
    deps: { readonly host: Host },
    plan: SafetyPlan,
    signal: AbortSignal,
  ): Promise<SafetyThread> {
    const { host } = deps
    const thread = new SafetyThread(host, plan)
    try {
      await inSafetyDir(plan, () => mkdirSync(plan.safetyDir, { recursive: true, mode: 0o700 }))
      await inSafetyDir(plan, () => thread.#openControl())
      // The plan of a run that crashed stays until this one has its outputs: a start that fails leaves it to the guard.
      await thread.#openLink(signal)
      await inSafetyDir(plan, () => writePlan(plan))
      // What is emulated ends with the process.
      if (plan.io.kind !== 'emulated') thread.#guard = Guard.start(plan.safetyDir, host.log)
      return thread
    } catch (error) {
      await thread[Symbol.asyncDispose]()
      throw error
    }
  }

  acquire(request: LeaseRequest): Promise<Lease> {
    const { components, principal, ttlMs } = request
    return this.#up().ask('acquire', { components, principal, ttlMs })
  }

  renew(leaseId: string): Promise<void> {
    return this.#up().ask('renew', leaseId)
  }

  async release(leaseId: string): Promise<void> {
    // A thread that is gone has taken its leases along.
    await this.#link?.ask('release', leaseId)
  }

  async networkLost(): Promise<void> {
    await this.#link?.ask('networkLost', undefined)
  }

  async endPrincipal(principal: string): Promise<void> {
    await this.#link?.ask('endPrincipal', principal)
  }

  async status(): Promise<SafetyStatus> {
    return this.#link ? this.#link.ask('status', undefined) : this.#status
  }

  onChange(listener: (status: SafetyStatus) => void): Cancel {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  async command(component: string, command: Command, meta: CommandMeta, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const asked = { component, command, meta, issuedMs: sharedMonotonicMs() }
      await Promise.race([this.#up().ask('command', asked), aborted])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  telemetry(component: string): Telemetry {
    return this.#telemetry.get(component) ?? this.#unavailable()
  }

  onTelemetry(component: string, listener: (telemetry: Telemetry) => void): Cancel {
    const listeners = this.#telemetryListeners.get(component) ?? new Set()
    this.#telemetryListeners.set(component, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  onSensor(listener: SensorListener): Cancel {
    this.#sensorListeners.add(listener)
    return () => this.#sensorListeners.delete(listener)
  }

  async emulate(part: string, lever: EmulatorLever): Promise<Readonly<Record<string, number>>> {
    return this.#up().ask('emulate', { part, lever })
  }

  /** Everything is driven safe and given back before it resolves. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new HalError('closed', 'safety is closed'))
    clearTimeout(this.#restart)
    await this.#restarting
    const link = this.#link
    this.#link = undefined
    const wasOpened = this.#owesSafety
    const isSafe = !wasOpened || (await link?.close()) === true || (await this.#makeSafe())
    await this.#control?.[Symbol.asyncDispose]()
    // Without a goodbye the guard makes everything safe when this process ends.
    if (!isSafe) return this.#host.log.error('not every output was driven safe; the guard takes over')
    await this.#guard?.[Symbol.asyncDispose]()
    // The plan of a device that was never open is somebody else's: of one that runs, or of one that crashed.
    if (wasOpened) await removePlan(this.#plan.safetyDir)
  }

  /** By a program of its own: no thread could. False where that failed too. */
  async #makeSafe(): Promise<boolean> {
    // What is emulated ended with its thread.
    if (this.#plan.io.kind === 'emulated') return true
    return makeSafeNow(this.#plan.safetyDir, this.#host.log)
  }

  async #openControl(): Promise<void> {
    const gate = new TokenGate(this.#plan.safetyDir, this.#host.clock)
    const controlled = {
      status: () => this.status(),
      arm: () => this.#up().ask('arm', undefined),
      disarm: (because: string) => this.#up().ask('disarm', because),
      clearFault: (fault: string) => this.#up().ask('clearFault', fault),
      audit: (entry: AuditEntry) => this.#audit(entry),
    }
    const deps = { controlled, gate, log: this.#host.log }
    this.#control = await ControlServer.open(this.#plan.safetyDir, deps)
  }

  async #openLink(signal: AbortSignal): Promise<void> {
    const options = {
      plan: this.#plan,
      beatEveryMs: Math.min(silenceMsMax(this.#plan) / beatsPerSilence, beatEveryMsMax),
      onMessage: (message: Told) => this.#heard(message),
      onStuck: (why: string) => this.#giveOutputsAway(why),
      onEnd: (why: string | undefined) => {
        if (why !== undefined && this.#link) this.#down(why)
      },
    }
    const { link, ready } = await ThreadLink.open(options, signal)
    this.#link = link
    this.#owesSafety = true
    this.#upSinceMs = sharedMonotonicMs()
    for (const entry of this.#auditWaiting.splice(0)) link.audit(entry)
    this.#changed(ready.status)
  }

  #up(): ThreadLink {
    if (this.#link) return this.#link
    const closed = this.#closing.signal.aborted
    throw closed
      ? new HalError('closed', 'safety is closed')
      : new HalError('not-present', 'the safety thread is down and is being started again')
  }

  #heard(message: Told): void {
    const { log } = this.#host
    if (message.type === 'telemetry')
      for (const [id, telemetry] of message.reports) this.#report(id, telemetry)
    else if (message.type === 'sensor')
      for (const listener of this.#sensorListeners) listener(message.part, message.result)
    else if (message.type === 'changed') this.#changed(message.status)
    else if (message.type === 'log') log[message.level](message.message, message.fields)
    else log.error('the safety thread crashed', { reason: message.message })
  }

  /** Lines that a thread in a system call holds are free when the process ends; then the guard drives them safe. */
  #giveOutputsAway(why: string): void {
    this.#host.log.error('the process ends, so that the guard can drive its outputs safe', { reason: why })
    process.kill(process.pid, 'SIGKILL')
  }

  /** It is gone: nobody can command anything until it is back. */
  #down(why: string): void {
    this.#link = undefined
    this.#host.log.error('outputs are out of reach until the safety thread is back', { reason: why })
    this.#audit({ what: 'stalled', who: 'device', message: why })
    this.#setAllUnavailable()
    this.#changed(downStatus(this.#status, why))
    if (sharedMonotonicMs() - this.#upSinceMs > wellMs) this.#restartMs = restartMs.first
    this.#startAgain()
  }

  #startAgain(): void {
    if (this.#closing.signal.aborted) return
    const delayMs = this.#restartMs
    this.#restartMs = Math.min(Math.max(delayMs * 2, restartMs.second), restartMs.max)
    this.#restart = setTimeout(() => {
      this.#restarting = this.#openAgain()
    }, delayMs)
  }

  async #openAgain(): Promise<void> {
    const { log } = this.#host
    try {
      await this.#openLink(this.#closing.signal)
      log.warn('the safety thread is back; outputs are safe')
    } catch (error) {
      if (this.#closing.signal.aborted) return
      log.error('the safety thread cannot be started', { reason: String(error) })
      await this.#makeSafe()
      this.#startAgain()
    }
  }

  #audit(entry: AuditEntry): void {
    if (this.#link) this.#link.audit(entry)
    else if (this.#auditWaiting.length < auditMax) this.#auditWaiting.push(entry)
  }

  #changed(status: SafetyStatus): void {
    this.#status = status
    for (const listener of this.#changeListeners) listener(status)
  }

  #report(component: string, telemetry: Telemetry): void {
    this.#telemetry.set(component, telemetry)
    for (const listener of this.#telemetryListeners.get(component) ?? []) listener(telemetry)
  }

  #setAllUnavailable(): void {
    for (const component of this.components) this.#report(component, this.#unavailable())
  }

  #unavailable(): Telemetry {
    return { state: 'unavailable', attributes: {}, tsMs: this.#host.clock.nowMs() }
  }
}

type Told = Parameters<Parameters<typeof ThreadLink.open>[0]['onMessage']>[0]

/** Without its directory nothing could be latched, armed or driven safe after a crash: outputs are not opened for use. */
async function inSafetyDir<T>({ safetyDir }: SafetyPlan, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof HalError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new HalError('other', `safety needs to write to ${safetyDir}: ${why}`, { cause })
  }
}

/** Faults stay what they were; nothing is known of outputs. */
function downStatus(last: SafetyStatus | undefined, why: string): SafetyStatus {
  return {
    armed: false,
    notArmedBecause: [why],
    emergencyStop: last?.emergencyStop ?? false,
    faults: last?.faults ?? [],
    leases: [],
    outputs: [],
    watchdog: last === undefined || last.watchdog === 'none' ? 'none' : 'starving',
    denials: last?.denials ?? 0,
  }
}
