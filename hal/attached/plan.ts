/**
 * What a configuration means once it is checked: every part with its driver's id, its place on the board and complete
 * options. Pure data, so that it can cross to a thread.
 */
import type { At } from '../contract/driver.ts'
import type { SafetyConfig } from '../contract/hardware-config.ts'
import { providerOf } from '../drivers/provider-registry.ts'
import type { PlannedPart, PlannedSensor } from '../safety/plan.ts'

/** One attached part, checked. */
export interface AttachedPart extends PlannedPart {
  /** Where the configuration says it, for messages: `hardware.parts[2] (porch)`. */
  readonly place: string
  readonly role: 'sensor' | 'actuator' | 'provider'
  readonly name: string
  /** As written: id or name of an area. */
  readonly area?: string
  /** Sensors: how often they are sampled. */
  readonly sampleEveryMs: number
  /** Sensor module of ECMA-419, absolute path; `driver` is then `ecma-419`. */
  readonly module?: string
  readonly exclusive: boolean
  readonly keepWithoutNetwork: boolean
}

export interface AttachedPlan {
  readonly parts: readonly AttachedPart[]
  readonly safety: SafetyConfig
}

/** One thread's worth of sensors. */
export interface SensorGroup {
  /** For messages: `the sensor worker`, or the module's part. */
  readonly name: string
  readonly providers: readonly PlannedPart[]
  readonly sensors: readonly (PlannedSensor & { readonly module?: string })[]
}

export interface Threads {
  /** Parts of the safety thread, providers first and in the order in which they can be opened. */
  readonly safety: {
    readonly providers: readonly AttachedPart[]
    readonly actuators: readonly AttachedPart[]
    readonly sensors: readonly AttachedPart[]
  }
  readonly sensors: readonly SensorGroup[]
}

/** Ids of the parts whose pins this one uses. */
export function providersOf(at: At): readonly string[] {
  return Object.values(at.pins).flatMap((pin) => providerOf(pin) ?? [])
}

/**
 * Which thread has which part: actuators are in the safety thread, with every provider that one of them needs and all
 * that hangs on such a provider. Other sensors share one worker; a module from disk, which nobody has reviewed, has its own.
 */
export function planThreads(plan: AttachedPlan): Threads {
  const byId = new Map(plan.parts.map((part) => [part.id, part]))
  const providers = inOpeningOrder(plan.parts.filter(({ role }) => role === 'provider'))
  const actuators = plan.parts.filter(({ role }) => role === 'actuator')
  const sensors = plan.parts.filter(({ role }) => role === 'sensor')
  const held = heldBySafety(plan, byId)
  const inSafety = (part: AttachedPart) =>
    held.has(part.id) || providersOf(part.at).some((provider) => held.has(provider))
  const free = sensors.filter((sensor) => !inSafety(sensor))
  const shared = free.filter(({ module }) => module === undefined)
  const modules = free.filter(({ module }) => module !== undefined)
  const group = (name: string, members: readonly AttachedPart[]): SensorGroup => ({
    name,
    providers: providers.filter(({ id }) => !held.has(id) && neededBy(members, byId).has(id)),
    sensors: members,
  })
  return {
    safety: {
      providers: providers.filter(({ id }) => held.has(id)),
      actuators,
      sensors: sensors.filter(inSafety),
    },
    sensors: [
      ...(shared.length > 0 ? [group('the sensor worker', shared)] : []),
      ...modules.map((part) => group(`the worker of ${part.id}`, [part])),
    ],
  }
}

/** Providers that actuators and safety inputs need, and those that hang on the same ones. */
function heldBySafety(plan: AttachedPlan, byId: ReadonlyMap<string, AttachedPart>): Set<string> {
  const actuators = plan.parts.filter(({ role }) => role === 'actuator')
  const held = neededBy(actuators, byId)
  if (actuators.length > 0)
    for (const pin of safetyPins(plan.safety)) addWithNeeds(providerOf(pin), held, byId)
  // What hangs on a held provider is in its thread too, and so is everything else that such a part needs.
  for (let before = -1; before !== held.size; ) {
    before = held.size
    for (const part of plan.parts)
      if (part.role !== 'actuator' && providersOf(part.at).some((id) => held.has(id))) {
        if (part.role === 'provider') held.add(part.id)
        for (const id of neededBy([part], byId)) held.add(id)
      }
  }
  return held
}

function safetyPins(safety: SafetyConfig): (number | string)[] {
  const { inputs = [], emergencyStop, conflictMonitor } = safety
  return [...inputs, emergencyStop, conflictMonitor].flatMap((line) => (line ? [line.pin] : []))
}

function neededBy(parts: readonly AttachedPart[], byId: ReadonlyMap<string, AttachedPart>): Set<string> {
  const needed = new Set<string>()
  for (const part of parts) for (const id of providersOf(part.at)) addWithNeeds(id, needed, byId)
  return needed
}

function addWithNeeds(
  id: string | undefined,
  into: Set<string>,
  byId: ReadonlyMap<string, AttachedPart>,
): void {
  if (id === undefined || into.has(id)) return
  into.add(id)
  for (const above of providersOf(byId.get(id)?.at ?? { pins: {} })) addWithNeeds(above, into, byId)
}

/** Each after those that its own pins are on; the check has refused circles. */
function inOpeningOrder(providers: readonly AttachedPart[]): AttachedPart[] {
  const ordered: AttachedPart[] = []
  const add = (part: AttachedPart) => {
    if (ordered.includes(part)) return
    for (const id of providersOf(part.at)) {
      const above = providers.find((provider) => provider.id === id)
      if (above) add(above)
    }
    ordered.push(part)
  }
  for (const provider of providers) add(provider)
  return ordered
}
