/**
 * From a checked configuration to running parts: starts the threads, and gives the components that the board offers.
 * Actuators exist only with the safety thread; sensors in their own threads, but for those on one of its providers.
 */
import { isAbsolute } from 'node:path'
import type { Actuator } from '../contract/actuator.ts'
import type { Board, Layout } from '../contract/board.ts'
import { type ChannelName, channels } from '../contract/channels.ts'
import type { Driver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { HardwareConfig } from '../contract/hardware-config.ts'
import type { Host } from '../contract/host.ts'
import type { Safety } from '../contract/safety.ts'
import type { Sensor } from '../contract/sensor.ts'
import { moduleDriver, moduleDriverId } from '../ecma-419/module-driver.ts'
import type { EmulatorLever, IoPlan, SafetyPort } from '../safety/plan.ts'
import { AreaBook } from './areas.ts'
import { AttachedActuator } from './attached-actuator.ts'
import { checkHardware } from './check.ts'
import { type AttachedPart, type AttachedPlan, planThreads, type SensorGroup, type Threads } from './plan.ts'
import type { Outcome } from './sensor-loop.ts'
import { channelId, type PartIdentity, SensorPart } from './sensor-part.ts'
import { SensorSupervisor } from './sensor-supervisor.ts'

export interface AttachedOptions {
  readonly config: HardwareConfig
  readonly board: Board
  readonly drivers: readonly Driver[]
  readonly io: IoPlan
  /** Areas that there are already; parts may name others. */
  readonly layout: Layout
  /** Ids of components that there are already. */
  readonly taken: ReadonlySet<string>
  /** Needed with actuators. */
  readonly safetyDir?: string
}

export interface Attached extends AsyncDisposable {
  readonly sensors: readonly Sensor[]
  readonly actuators: readonly Actuator[]
  readonly safety?: Safety
  /** With the areas that parts named. */
  readonly layout: Layout
  /** Levers of an emulated part, by its id. Throws HalError `unsupported` where hardware is real. */
  emulate(part: string, lever: EmulatorLever): Promise<Readonly<Record<string, number>>>
}

/** A module that says nothing by then is left out until the next start. */
const learnMsMax = 6_000
/** The least that a thread may stand still: a driver may block as long as its own sample takes, twice. */
const stallMsMin = 2_000
/** Errors that the next sample may not have. */
const retryable: ReadonlySet<string> = new Set(['no-acknowledge', 'checksum', 'timeout', 'busy'])

/** Throws HalError `malformed` for a configuration with mistakes, in one line. */
export async function openAttached(
  options: AttachedOptions,
  host: Host,
  signal: AbortSignal,
): Promise<Attached> {
  const checked = checkHardware(options.config, options.board, options.drivers)
  if (!checked.ok) throw malformed(checked.problems)
  const attaching = new Attaching(options, checked.plan, host)
  try {
    return await attaching.open(signal)
  } catch (error) {
    await attaching.close()
    throw error
  }
}

function malformed(problems: readonly string[]): HalError {
  const [first = 'is wrong', ...more] = problems
  const rest =
    more.length === 0
      ? ''
      : `; and ${more.length} more mistake${more.length > 1 ? 's' : ''}: ${more.join('; ')}`
  return new HalError('malformed', `${first}${rest}`)
}

class Attaching {
  readonly #options: AttachedOptions
  readonly #plan: AttachedPlan
  readonly #host: Host
  readonly #threads: Threads
  readonly #areas: AreaBook
  readonly #planned: ReadonlyMap<string, AttachedPart>
  readonly #parts = new Map<string, SensorPart>()
  readonly #supervisors: SensorSupervisor[] = []
  /** Modules that have not yet said what they measure. */
  readonly #learning = new Map<string, (outcome: Outcome) => void>()
  #safety: SafetyPort | undefined

  constructor(options: AttachedOptions, plan: AttachedPlan, host: Host) {
    this.#options = options
    this.#plan = plan
    this.#planned = new Map(plan.parts.map((part) => [part.id, part]))
    this.#host = host
    this.#threads = planThreads(plan)
    this.#areas = new AreaBook(options.layout)
  }

  async open(signal: AbortSignal): Promise<Attached> {
    this.#refuseTakenIds()
    for (const group of this.#threads.sensors) this.#openGroup(group)
    const sensing = this.#threads.safety.sensors
    for (const part of sensing) this.#addPart(part, this.#channelsOf(part), () => {})
    const actuators = await this.#openSafety(signal)
    await this.#learnModules(signal)
    return {
      sensors: [...this.#parts.values()].flatMap(({ sensors }) => sensors),
      actuators,
      layout: this.#areas.layout,
      ...(this.#safety ? { safety: this.#safety } : {}),
      emulate: (part, lever) => this.#emulate(part, lever),
      [Symbol.asyncDispose]: () => this.close(),
    }
  }

  /** Actuators first: whatever else takes long, they are safe by then. */
  async close(): Promise<void> {
    await this.#safety?.[Symbol.asyncDispose]()
    for (const part of this.#parts.values()) part.close()
    await Promise.all(this.#supervisors.map((supervisor) => supervisor[Symbol.asyncDispose]()))
  }

  #refuseTakenIds(): void {
    const problems = this.#plan.parts.flatMap((part) => {
      const taken = this.#componentIds(part).find((id) => this.#options.taken.has(id))
      return taken === undefined
        ? []
        : [`${part.place}: there is already a ${taken}: give the part another id`]
    })
    if (problems.length > 0) throw malformed(problems)
  }

  #componentIds(part: AttachedPart): readonly string[] {
    if (part.role === 'provider') return []
    if (part.role === 'actuator') return [this.#actuatorInfo(part).id]
    return this.#channelsOf(part).map((name) => channelId(part.id, name))
  }

  #openGroup(group: SensorGroup): void {
    const sampleMs = group.sensors.map(({ driver }) => this.#sensorDriver(driver).sampleMsMax)
    const supervisor = new SensorSupervisor(
      { host: this.#host, onOutcome: (part, outcome) => this.#onOutcome(part, outcome) },
      { io: this.#options.io, group, stallMsMax: Math.max(stallMsMin, 2 * Math.max(...sampleMs)) },
    )
    for (const { id } of group.sensors) {
      const part = this.#byId(id)
      const names = this.#channelsOf(part)
      if (names.length > 0) this.#addPart(part, names, () => supervisor.sample(id))
    }
    this.#supervisors.push(supervisor)
    supervisor.start()
  }

  #onOutcome(id: string, outcome: Outcome): void {
    this.#parts.get(id)?.take(outcome)
    this.#learning.get(id)?.(outcome)
  }

  #addPart(part: AttachedPart, names: readonly ChannelName[], ask: () => void): void {
    const { sampleMsMax } = this.#sensorDriver(part.driver)
    const identity: PartIdentity = { ...this.#identity(part), sampleMsMax }
    this.#parts.set(part.id, new SensorPart(identity, names, this.#host, ask))
  }

  #identity(part: AttachedPart) {
    const { manufacturer, model } = this.#driver(part.driver)
    const area = this.#areas.idOf(part.area)
    return {
      id: part.id,
      name: part.name,
      ...(area === undefined ? {} : { area }),
      device: {
        id: part.id,
        name: part.name,
        model,
        ...(manufacturer === '' || manufacturer === 'generic' ? {} : { manufacturer }),
      },
      simulated: this.#options.io.kind === 'emulated',
    }
  }

  #channelsOf(part: AttachedPart): readonly ChannelName[] {
    if (part.module === undefined) return this.#sensorDriver(part.driver).channels(part.options)
    return moduleDriver.channels(part.options)
  }

  /** What a module measures is seen in its first sample. */
  async #learnModules(signal: AbortSignal): Promise<void> {
    const unknown = this.#threads.sensors
      .flatMap((group) => group.sensors)
      .filter(({ id }) => !this.#parts.has(id))
    await Promise.all(unknown.map(({ id }) => this.#learn(this.#byId(id), signal)))
  }

  #learn(part: AttachedPart, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let reason = 'no sample'
    const cancel = this.#host.clock.after(learnMsMax, () => {
      this.#host.log.error('a module is left out: what it measures is not known', {
        part: part.id,
        reason,
        advice: 'name it with the option "channels", for example "temperature humidity"',
      })
      resolve()
    })
    this.#learning.set(part.id, (outcome) => {
      if (!('reading' in outcome)) {
        reason = outcome.error.message
        return
      }
      const names = Object.keys(outcome.reading.channels).filter((name) => Object.hasOwn(channels, name))
      const supervisor = this.#supervisors.find((candidate) => candidate.has(part.id))
      this.#addPart(part, names as ChannelName[], () => supervisor?.sample(part.id))
      this.#parts.get(part.id)?.take(outcome)
      resolve()
    })
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    return promise.finally(() => {
      cancel()
      this.#learning.delete(part.id)
      signal.removeEventListener('abort', onAbort)
    })
  }

  async #openSafety(signal: AbortSignal): Promise<Actuator[]> {
    const { providers, actuators, sensors } = this.#threads.safety
    if (actuators.length === 0) return []
    const { safetyDir, io } = this.#options
    if (safetyDir === undefined || !isAbsolute(safetyDir))
      throw new HalError('malformed', 'attached actuators need a folder for what safety must remember')
    const infos = new Map(actuators.map((part) => [part.id, this.#actuatorInfo(part)]))
    const { SafetyThread } = await import('../safety/thread-port.ts')
    const safety: SafetyPort = await SafetyThread.open(
      { host: this.#host },
      {
        io,
        providers,
        sensors,
        actuators: actuators.map((part) => ({ ...part, component: infos.get(part.id)?.id ?? part.id })),
        config: this.#plan.safety,
        safetyDir,
      },
      signal,
    )
    this.#safety = safety
    safety.onSensor((id, result) => {
      const lost = 'error' in result && !retryable.has(result.error.code)
      this.#onOutcome(id, 'error' in result ? { error: result.error, lost } : result)
    })
    return [...infos.values()].map((info) => new AttachedActuator(info, safety))
  }

  #actuatorInfo(part: AttachedPart): Actuator['info'] {
    const driver = this.#driver(part.driver)
    if (driver.role !== 'actuator') throw new Error(`${part.id}: ${part.driver} is no actuator`)
    const { id, name, area, device, simulated } = { area: undefined, ...this.#identity(part) }
    const kind = driver.kind(part.options)
    const features = driver.features?.(part.options)
    const range = driver.range?.(part.options)
    const choices = driver.choices?.(part.options)
    return {
      id: `${kind}.${id}`,
      kind,
      name,
      device,
      simulated,
      ...(area === undefined ? {} : { area }),
      ...(driver.deviceClass === undefined ? {} : { deviceClass: driver.deviceClass }),
      ...(features === undefined ? {} : { features }),
      ...(range === undefined ? {} : { range: { min: range.min, max: range.max, step: range.step } }),
      ...(range?.unit === undefined ? {} : { unit: range.unit }),
      ...(choices === undefined ? {} : { choices }),
    }
  }

  async #emulate(part: string, lever: EmulatorLever): Promise<Readonly<Record<string, number>>> {
    const supervisor = this.#supervisors.find((candidate) => candidate.has(part))
    if (supervisor) return supervisor.emulate(part, lever)
    const inSafety = Object.values(this.#threads.safety)
      .flat()
      .some(({ id }) => id === part)
    if (!this.#safety || !inSafety) throw new HalError('not-present', `no attached part is called ${part}`)
    return this.#safety.emulate(part, lever)
  }

  #byId(id: string): AttachedPart {
    const part = this.#planned.get(id)
    if (!part) throw new Error(`${id} is not in the plan`)
    return part
  }

  #driver(id: string): Driver {
    const driver =
      id === moduleDriverId ? moduleDriver : this.#options.drivers.find((candidate) => candidate.id === id)
    if (!driver) throw new Error(`no driver ${id}`)
    return driver
  }

  #sensorDriver(id: string) {
    const driver = this.#driver(id)
    if (driver.role !== 'sensor') throw new Error(`${id} is no sensor`)
    return driver
  }
}
