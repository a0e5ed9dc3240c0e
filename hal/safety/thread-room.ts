/**
 * What is in the safety thread: the machine, its providers, the host of the kernel, the sensors that hang on the same
 * providers, and the answers to the control loop. Apart from the thread itself, so that it is tested without one.
 */

import { type Machine, openMachine } from '../attached/machine.ts'
import { Providers } from '../attached/providers.ts'
import { type LoopPart, type Outcome, SensorLoop } from '../attached/sensor-loop.ts'
import type { Telemetry } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import { parts as knownParts } from '../drivers/index.ts'
import { ProviderRegistry } from '../drivers/provider-registry.ts'
import { driverOf } from './driven.ts'
import { EmulatedLoops } from './emulated-loops.ts'
import { SafetyHost, type SafetyHostDeps } from './host.ts'
import type { AskName, Asks, FromThread, PlainError, ToThread } from './messages.ts'
import type { EmulatorLever, SafetyPlan } from './plan.ts'

/** Telemetry of a ramp comes fifty times a second; people and networks need less. */
const reportEveryMs = 50

interface RoomDeps extends Pick<SafetyHostDeps, 'host' | 'beats' | 'openWatchdog'> {
  readonly post: (message: FromThread) => void
}

export class ThreadRoom implements AsyncDisposable {
  readonly #post: (message: FromThread) => void
  readonly #stack: AsyncDisposableStack
  readonly #safety: SafetyHost
  readonly #machine: Machine
  readonly #loops: EmulatedLoops | undefined

  private constructor(
    post: (message: FromThread) => void,
    stack: AsyncDisposableStack,
    safety: SafetyHost,
    machine: Machine,
    loops: EmulatedLoops | undefined,
  ) {
    this.#post = post
    this.#stack = stack
    this.#safety = safety
    this.#machine = machine
    this.#loops = loops
  }

  /** Throws HalError for a plan that cannot be kept. */
  static async open(deps: RoomDeps, plan: SafetyPlan, signal: AbortSignal): Promise<ThreadRoom> {
    const { host, post } = deps
    await using stack = new AsyncDisposableStack()
    const registry = new ProviderRegistry()
    const parts = [...plan.providers, ...plan.actuators, ...plan.sensors]
    const machine = await openMachine(plan.io, parts, host, registry)
    const loops = machine.emulated && new EmulatedLoops(machine.emulated, plan.config)
    const providers = stack.use(new Providers(host, machine.io, registry, plan.providers))
    await providers.openAll()
    const reporter = stack.use(new Reporter(host, post))
    const safety = stack.use(
      await SafetyHost.open(
        {
          ...deps,
          io: machine.io,
          board: plan.io.kind === 'module' ? undefined : plan.io.board,
          drivers: knownParts.map(({ driver }) => driver),
          onTelemetry: (component, telemetry) => reporter.add(component, telemetry),
          onChange: (status) => post({ type: 'changed', status }),
        },
        plan,
        signal,
      ),
    )
    stack.use(startSensors(host, machine, plan, post))
    reporter.flush()
    post({ type: 'ready', status: safety.status() })
    return new ThreadRoom(post, stack.move(), safety, machine, loops)
  }

  async handle(message: Exclude<ToThread, { type: 'close' }>): Promise<void> {
    if (message.type === 'audit') return this.#safety.audit(message.entry)
    const { call, name, ask } = message
    try {
      const answer = await this.#answers[name](ask as never)
      this.#post({ type: 'answer', call, answer })
    } catch (error) {
      this.#post({ type: 'failure', call, error: plainError(error) })
    }
  }

  /** Once closed: everything was driven safe. */
  get driven(): boolean {
    return this.#safety.driven
  }

  /** After a crash: the watchdog counts on until the next thread feeds it. */
  abandonWatchdog(): void {
    this.#safety.abandonWatchdog()
  }

  /** Drives everything safe and gives the outputs back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }

  readonly #answers: {
    readonly [Name in AskName]: (
      ask: Asks[Name]['ask'],
    ) => Asks[Name]['answer'] | Promise<Asks[Name]['answer']>
  } = {
    acquire: (request) => this.#safety.acquire(request),
    renew: (lease) => void this.#safety.renew(lease),
    release: (lease) => void this.#safety.release(lease),
    command: ({ component, command, meta, issuedMs }) =>
      void this.#safety.command(component, command, meta, issuedMs),
    networkLost: () => void this.#safety.networkLost(),
    endPrincipal: (principal) => void this.#safety.endPrincipal(principal),
    status: () => this.#safety.status(),
    arm: () => void this.#safety.arm(),
    disarm: (because) => void this.#safety.disarm(because),
    clearFault: async (fault) => void (await this.#safety.clearFault(fault)),
    emulate: ({ part, lever }) => this.#emulate(part, lever),
  }

  #emulate(part: string, lever: EmulatorLever): Readonly<Record<string, number>> {
    const { emulated } = this.#machine
    if (!emulated)
      throw new HalError('unsupported', `${part} is no emulated part: what it meets cannot be set`)
    if (this.#loops?.has(part)) {
      if (lever !== 'look' && 'value' in lever) this.#loops.set(part, lever.value)
      return this.#loops.world(part)
    }
    if (lever !== 'look') {
      if ('fault' in lever) emulated.fault(part, lever.fault ?? undefined)
      else emulated.part(part).set(lever.quantity, lever.value)
    }
    return emulated.part(part).world()
  }
}

function startSensors(
  host: Host,
  { io }: Machine,
  plan: SafetyPlan,
  post: (message: FromThread) => void,
): SensorLoop {
  const drivers = knownParts.map(({ driver }) => driver)
  const parts: LoopPart[] = plan.sensors.map((sensor) => ({
    ...sensor,
    driver: driverOf(sensor, 'sensor', drivers),
  }))
  const report = (index: number, result: Outcome) =>
    post({ type: 'sensor', part: parts[index]?.id ?? '', result })
  const loop = new SensorLoop({ host, io, turn: () => {}, report }, parts)
  loop.start()
  return loop
}

/** Sends the newest telemetry of each component, all together and not more often than anybody can use. */
class Reporter implements Disposable {
  readonly #host: Host
  readonly #post: (message: FromThread) => void
  readonly #waiting = new Map<string, Telemetry>()
  #sentAtMs = Number.NEGATIVE_INFINITY
  #due: Cancel | undefined

  constructor(host: Host, post: (message: FromThread) => void) {
    this.#host = host
    this.#post = post
  }

  add(component: string, telemetry: Telemetry): void {
    this.#waiting.set(component, telemetry)
    const waitMs = this.#sentAtMs + reportEveryMs - this.#host.clock.monotonicMs()
    this.#due ??= this.#host.clock.after(Math.max(0, waitMs), () => this.flush())
  }

  flush(): void {
    this.#due?.()
    this.#due = undefined
    const reports = [...this.#waiting]
    this.#waiting.clear()
    this.#sentAtMs = this.#host.clock.monotonicMs()
    if (reports.length > 0) this.#post({ type: 'telemetry', reports })
  }

  [Symbol.dispose](): void {
    this.flush()
  }
}

export function plainError(error: unknown): PlainError {
  return error instanceof HalError
    ? { code: error.code, message: error.message }
    : { code: 'other', message: error instanceof Error ? error.message : String(error) }
}
