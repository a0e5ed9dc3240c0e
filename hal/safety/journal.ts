/**
 * What the kernel's events leave behind: faults on disk, lines in the audit, lines in the log.
 *
 * Invariant: [safety-4] `settled` resolves when every fault latched or cleared so far is on the disk; while the disk
 * refuses, it is tried again and again, the fault stays latched in memory, and `trouble` says so.
 */
import type { Cancel, Host } from '../contract/host.ts'
import type { Fault } from '../contract/safety.ts'
import type { Audit } from './audit.ts'
import type { FaultsStore } from './faults-store.ts'
import type { KernelEvent } from './kernel-types.ts'

const retryMs = { first: 1_000, max: 30_000 }

export class Journal implements AsyncDisposable {
  readonly #host: Host
  readonly #store: FaultsStore
  readonly #audit: Audit
  #faults: readonly Fault[] = []
  #saving: Promise<void> = Promise.resolve()
  #retry: Cancel | undefined
  #retryMs = retryMs.first
  #trouble: string | undefined

  constructor(host: Host, store: FaultsStore, audit: Audit) {
    this.#host = host
    this.#store = store
    this.#audit = audit
  }

  note(events: readonly KernelEvent[], faults: readonly Fault[]): void {
    for (const event of events) this.#noteOne(event)
    if (events.some(({ type }) => type === 'fault' || type === 'fault-cleared')) this.save(faults)
  }

  save(faults: readonly Fault[]): void {
    this.#faults = faults
    this.#saving = this.#store.save(faults).then(() => {
      this.#retryMs = retryMs.first
      this.#trouble = undefined
    })
    this.#saving.catch((error) => this.#saveAgain(error))
  }

  /** Why the disk does not hold what is latched; undefined while it does, or is about to. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Rejects when the disk refuses. */
  settled(): Promise<void> {
    return this.#saving
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#retry?.()
    await this.#saving.catch(() => {})
    await this.#audit.flush()
  }

  #saveAgain(error: unknown): void {
    this.#trouble = error instanceof Error ? error.message : String(error)
    this.#host.log.error('latched faults cannot be written to the disk', { reason: String(error) })
    this.#retry?.()
    this.#retry = this.#host.clock.after(this.#retryMs, () => this.save(this.#faults))
    this.#retryMs = Math.min(this.#retryMs * 2, retryMs.max)
  }

  #noteOne(event: KernelEvent): void {
    const { log } = this.#host
    switch (event.type) {
      case 'denied': {
        const { principal: who, components, denial, asked } = event
        const message = `${asked}: ${denial.message}`
        this.#audit.record({
          what: 'denied',
          who,
          rule: denial.rule,
          component: components.join(' '),
          message,
        })
        return
      }
      case 'fault': {
        const { id, cause, components, message } = event.fault
        log.error('a fault is latched', { id, cause, components, message })
        const component = components.join(' ')
        this.#audit.record({
          what: 'fault',
          who: 'device',
          rule: cause,
          component,
          message: `${id}: ${message}`,
        })
        return
      }
      case 'fault-cleared': {
        const { id, cause, message } = event.fault
        log.warn('a fault was cleared', { id, cause })
        this.#audit.record({
          what: 'cleared',
          who: event.principal,
          rule: cause,
          message: `${id}: ${message}`,
        })
        return
      }
      case 'armed':
        log.info('armed', { by: event.principal })
        this.#audit.record({ what: 'armed', who: event.principal, message: 'outputs may be commanded' })
        return
      case 'disarmed':
        log.warn('disarmed', { because: event.because })
        this.#audit.record({ what: 'disarmed', who: 'device', message: event.because })
        return
      case 'forced-safe': {
        const { outputs, rule, message } = event
        log.warn('outputs were driven safe by a rule', { outputs, rule })
        this.#audit.record({
          what: 'forced-safe',
          who: 'device',
          rule,
          component: outputs.join(' '),
          message,
        })
        return
      }
      case 'silence': {
        const message = event.silent ? 'the control loop is silent' : 'the control loop is back'
        log.error(message)
        this.#audit.record({ what: 'silence', who: 'device', message })
        return
      }
      case 'held':
        log.debug('an output waits on its way', { output: event.output, because: event.denial.message })
        return
      case 'lease-granted':
        log.debug('a lease begins', { ...event.lease })
        return
      case 'lease-ended':
        log.debug('a lease ends', { id: event.lease.id, because: event.because })
    }
  }
}
