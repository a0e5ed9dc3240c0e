/**
 * The one audit log of a device, opened when there is something to record: a device on which nothing is decided keeps no file for it.
 *
 * Invariants: [audit-5] nothing is on the disk before the first entry; [audit-6] all that a device records is one chain.
 */
import type { Clock } from '../base/clock.ts'
import type { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import { Audit, auditIn } from './audit.ts'
import type { AuditEntry } from './audit-chain.ts'

/** 64 MB of log: some 200,000 calls, and their ends. */
const limits = { fileBytesMax: 4 * 1024 * 1024, filesMax: 16 }

export interface DeviceAuditDeps {
  readonly clock: Clock
  readonly log: Log
  readonly identity: Identity
}

export class DeviceAudit implements AsyncDisposable {
  readonly #deps: DeviceAuditDeps
  readonly #stateDir: string
  readonly #stop = new AbortController()
  #opened: Promise<Audit> | undefined

  /** Does no I/O. */
  constructor(deps: DeviceAuditDeps, stateDir: string) {
    this.#deps = deps
    this.#stateDir = stateDir
  }

  /** The log, opened if it is not yet. Throws where the disk cannot be used, or the device is stopping. */
  async get(): Promise<Audit> {
    const { signal } = this.#stop
    signal.throwIfAborted()
    this.#opened ??= Audit.open(this.#deps, { directory: auditIn(this.#stateDir), ...limits }, signal).catch(
      (error) => {
        this.#opened = undefined
        throw error
      },
    )
    return await this.#opened
  }

  /** Settles when the entry is on the disk. Throws as `get` does. */
  async record(entry: AuditEntry): Promise<void> {
    const audit = await this.get()
    audit.append(entry)
    await audit.durable()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const audit = await this.#opened?.catch(() => undefined)
    this.#stop.abort(new Error('the device is stopping'))
    await audit?.[Symbol.asyncDispose]()
  }
}
