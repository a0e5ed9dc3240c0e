/**
 * The providers of a thread (expanders, converters), opened in order. One that cannot be opened, or whose users are lost,
 * is opened afresh, until it can be: a chip that was without power has forgotten its settings.
 *
 * Invariant: [attached-10] a provider that cannot be opened is tried again after 1 s to 60 s, and said once to be missing
 * and once to be back.
 */
import type { Provider, ProviderDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { Io } from '../contract/io.ts'
import { parts as knownParts } from '../drivers/index.ts'
import type { ProviderRegistry } from '../drivers/provider-registry.ts'
import type { PlannedPart } from '../safety/plan.ts'
import { PartIo } from './part-io.ts'

const openMsMax = 5_000
const retry = { firstMs: 1_000, maxMs: 60_000 }

interface Opened {
  readonly provider: Provider
  readonly withdraw: Cancel
  readonly partIo: PartIo
}

export class Providers implements AsyncDisposable {
  readonly #host: Host
  readonly #io: Io
  readonly #registry: ProviderRegistry
  readonly #planned: readonly PlannedPart[]
  readonly #open = new Map<string, Opened>()
  /** Openings that failed in a row. */
  readonly #failures = new Map<string, number>()
  #queue: Promise<void> = Promise.resolve()
  #cancelRetry: Cancel | undefined
  #closed = false

  constructor(host: Host, io: Io, registry: ProviderRegistry, planned: readonly PlannedPart[]) {
    this.#host = host
    this.#io = io
    this.#registry = registry
    this.#planned = planned
  }

  /** Opens all that are not open. Those that cannot be are logged and tried again; their users say that they are missing. */
  openAll(): Promise<void> {
    return this.#next(async () => {
      for (const part of this.#planned) if (!this.#open.has(part.id)) await this.#openOne(part)
      this.#retryLater()
    })
  }

  /** Opens one afresh, and those that hang on it. */
  renew(ids: readonly string[]): Promise<void> {
    return this.#next(async () => {
      for (const part of this.#planned) {
        if (!ids.includes(part.id)) continue
        await this.#close(part.id)
        await this.#openOne(part)
      }
      this.#retryLater()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#cancelRetry?.()
    await this.#next(async () => {
      for (const { id } of [...this.#planned].reverse()) await this.#close(id)
    })
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(work)
    return this.#queue
  }

  #retryLater(): void {
    const missing = this.#planned.filter(({ id }) => !this.#open.has(id))
    this.#cancelRetry?.()
    if (missing.length === 0 || this.#closed) return
    const times = Math.min(...missing.map(({ id }) => this.#failures.get(id) ?? 1))
    const delayMs = Math.min(retry.maxMs, retry.firstMs * 2 ** (times - 1))
    this.#cancelRetry = this.#host.clock.after(delayMs, () => void this.openAll())
  }

  async #openOne(part: PlannedPart): Promise<void> {
    if (this.#closed) return
    const driver = knownParts.find((known) => known.driver.id === part.driver)?.driver
    if (driver?.role !== 'provider') throw new Error(`${part.id}: ${part.driver} is no provider`)
    const partIo = new PartIo(this.#io, () => {})
    try {
      const provider = await this.#limited(part, driver, partIo)
      this.#open.set(part.id, { provider, partIo, withdraw: this.#registry.add(part.id, provider) })
      if (this.#failures.delete(part.id)) this.#host.log.info('a provider of pins is back', { part: part.id })
    } catch (error) {
      partIo.closeAll()
      const times = this.#failures.get(part.id) ?? 0
      this.#failures.set(part.id, times + 1)
      if (times > 0) return
      this.#host.log.warn('a provider of pins cannot be opened', {
        part: part.id,
        reason: error instanceof Error ? error.message : String(error),
      })
    }
  }

  async #limited(
    { id, at, options }: PlannedPart,
    driver: ProviderDriver,
    { io }: PartIo,
  ): Promise<Provider> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const controller = new AbortController()
    const cancel = this.#host.clock.after(openMsMax, () => {
      const error = new HalError('timeout', `${id}: opening it took longer than ${openMsMax} ms`)
      controller.abort(error)
      reject(error)
    })
    try {
      return await Promise.race([
        driver.open({ io, at, options, host: this.#host, id }, controller.signal),
        late,
      ])
    } finally {
      cancel()
    }
  }

  async #close(id: string): Promise<void> {
    const opened = this.#open.get(id)
    if (!opened) return
    this.#open.delete(id)
    opened.withdraw()
    await Promise.resolve(opened.provider[Symbol.asyncDispose]()).catch(() => {})
    opened.partIo.closeAll()
  }
}
