/** What runs in a thread of sensors: the machine, its providers, and the loop. Apart from the thread, so that it is tested without one. */
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import { parts as knownParts } from '../drivers/index.ts'
import { ProviderRegistry } from '../drivers/provider-registry.ts'
import type { EmulatorLever } from '../safety/plan.ts'
import { type Machine, openMachine } from './machine.ts'
import { providersOf, type SensorGroup } from './plan.ts'
import { Providers } from './providers.ts'
import { type LoopPart, type Outcome, SensorLoop } from './sensor-loop.ts'
import { type FromThread, readyAt, type ThreadInit, type ToThread, turnAt } from './worker-messages.ts'

/** A result waits at most this long for others to travel with. */
const batchMs = 50
/** A batch this large does not wait. */
const batchMax = 256

type Sensors = SensorGroup['sensors']

export class SensorThread implements AsyncDisposable {
  readonly #host: Host
  readonly #post: (message: FromThread) => void
  readonly #machine: Machine
  readonly #providers: Providers
  readonly #sensors: Sensors
  readonly #words: Int32Array
  readonly #loop: SensorLoop
  readonly #lost = new Set<number>()
  #batch: [part: number, outcome: Outcome][] = []
  #flush: Cancel | undefined

  static async open(
    init: ThreadInit,
    host: Host,
    post: (message: FromThread) => void,
  ): Promise<SensorThread> {
    const registry = new ProviderRegistry()
    const { providers, sensors } = init.group
    const machine = await openMachine(init.io, [...providers, ...sensors], host, registry)
    const opened = new Providers(host, machine.io, registry, providers)
    await opened.openAll()
    const parts = await Promise.all(sensors.map((sensor, index) => loopPart(sensor, init.delaysMs[index])))
    Atomics.store(new Int32Array(init.shared), readyAt, 1)
    const thread = new SensorThread(init, host, post, machine, opened, parts)
    thread.#loop.start()
    return thread
  }

  private constructor(
    init: ThreadInit,
    host: Host,
    post: (message: FromThread) => void,
    machine: Machine,
    providers: Providers,
    parts: readonly LoopPart[],
  ) {
    this.#host = host
    this.#post = post
    this.#machine = machine
    this.#providers = providers
    this.#sensors = init.group.sensors
    this.#words = new Int32Array(init.shared)
    this.#loop = new SensorLoop(
      {
        host,
        io: machine.io,
        turn: (part) => Atomics.store(this.#words, turnAt, part),
        report: (part, outcome) => this.#report(part, outcome),
      },
      parts,
    )
  }

  handle(message: Exclude<ToThread, { type: 'close' }>): void {
    if (message.type === 'sample') {
      this.#loop.sampleNow(message.part)
      return
    }
    const { call, part, lever } = message
    try {
      this.#post({ type: 'emulated', call, answer: { world: this.#emulate(part, lever) } })
    } catch (error) {
      if (!(error instanceof HalError)) throw error
      const { code, message: text } = error
      this.#post({ type: 'emulated', call, answer: { error: { code, message: text } } })
    }
  }

  /** Whoever ran last is taken for the one that threw. */
  threw(error: unknown): void {
    this.#loop.threw(Atomics.load(this.#words, turnAt), error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]()
    await this.#providers[Symbol.asyncDispose]()
    this.#flush?.()
  }

  #report(part: number, outcome: Outcome): void {
    if ('reading' in outcome) this.#lost.delete(part)
    else if (outcome.lost && !this.#lost.has(part)) {
      this.#lost.add(part)
      this.#renewAbove(part)
    }
    this.#batch.push([part, outcome])
    if (this.#batch.length >= batchMax) this.#send()
    else this.#flush ??= this.#host.clock.after(batchMs, () => this.#send())
  }

  /** A provider is at fault when all that hang on it are lost; renewing it sooner would cut off those that work. */
  #renewAbove(part: number): void {
    const above = providersOf(this.#sensors[part]?.at ?? { pins: {} })
    const silent = above.filter((id) =>
      this.#sensors.every((sensor, index) => !providersOf(sensor.at).includes(id) || this.#lost.has(index)),
    )
    if (silent.length > 0) void this.#providers.renew(silent)
  }

  #send(): void {
    this.#flush?.()
    this.#flush = undefined
    const outcomes = this.#batch
    this.#batch = []
    if (outcomes.length > 0) this.#post({ type: 'outcomes', outcomes })
  }

  #emulate(part: string, lever: EmulatorLever): Readonly<Record<string, number>> {
    const { emulated } = this.#machine
    if (!emulated)
      throw new HalError('unsupported', `${part} is no emulated part: what it meets cannot be set`)
    if (lever !== 'look') {
      if ('fault' in lever) emulated.fault(part, lever.fault ?? undefined)
      else emulated.part(part).set(lever.quantity, lever.value)
    }
    return emulated.part(part).world()
  }
}

async function loopPart(sensor: Sensors[number], delayMs = 0): Promise<LoopPart> {
  const { id, at, options, sampleEveryMs, module } = sensor
  const rest = { id, at, options, sampleEveryMs, ...(delayMs > 0 ? { delayMs } : {}) }
  if (module !== undefined) {
    // The module's world is built only in the module's own thread.
    const { loadModule } = await import('../ecma-419/load-module.ts')
    return { ...rest, driver: loadModule(module) }
  }
  const driver = knownParts.find((known) => known.driver.id === sensor.driver)?.driver
  if (driver?.role !== 'sensor') throw new Error(`${id}: ${sensor.driver} is no sensor`)
  return { ...rest, driver }
}
