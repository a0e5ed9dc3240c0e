/** The plan's actuators with their drivers, and what the kernel is told about them. Pure. */
import type { ActuatorDriver, Driver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Constraint, OutputSpec, OutputValues } from '../contract/safety.ts'
import type { KernelConfig } from './kernel-types.ts'
import type { PlannedActuator, PlannedPart, SafetyPlan } from './plan.ts'

/** An actuator of the plan with its driver. */
export interface DrivenActuator {
  readonly planned: PlannedActuator
  readonly driver: ActuatorDriver
  /** With these options; local names. */
  readonly outputs: readonly OutputSpec[]
}

/** What the kernel needs of the host: how often it looks. */
interface Pace {
  readonly cycleMs: number
  readonly rampTickMs: number
}

const silenceMsDefault = 1_000
/** Cycles of a device whose outputs cannot be read back; others look three times within the shortest limit. */
const cycleMsRange = { min: 10, max: 100 }
/** A ramp moves fifty times a second: smooth for any actuator, little work for any board. */
const rampTickMs = 20

export function silenceMsMax(plan: SafetyPlan): number {
  return plan.config.silenceMsMax ?? silenceMsDefault
}

export function paceOf(actuators: readonly DrivenActuator[]): Pace {
  const limits = actuators.flatMap(({ outputs }) =>
    outputs.flatMap(({ readBackMsMax }) => readBackMsMax ?? []),
  )
  const cycleMs = Math.min(cycleMsRange.max, ...limits.map((limitMs) => limitMs / 3))
  return { cycleMs: Math.max(cycleMsRange.min, cycleMs), rampTickMs }
}

/** Throws HalError `not-present` for a driver that is not in the list or has another role. */
export function driverOf<Role extends Driver['role']>(
  part: PlannedPart,
  role: Role,
  drivers: readonly Driver[],
): Extract<Driver, { role: Role }> {
  const driver = drivers.find(({ id }) => id === part.driver)
  if (driver?.role !== role)
    throw new HalError('not-present', `${part.id}: there is no ${role} driver "${part.driver}"`)
  return driver as Extract<Driver, { role: Role }>
}

export function drivenActuators(plan: SafetyPlan, drivers: readonly Driver[]): readonly DrivenActuator[] {
  return plan.actuators.map((planned) => {
    const driver = driverOf(planned, 'actuator', drivers)
    return { planned, driver, outputs: driver.outputs(planned.options) }
  })
}

/** Safe value of every output, by full name. */
export function safeValues(actuators: readonly DrivenActuator[]): OutputValues {
  return Object.fromEntries(
    actuators.flatMap(({ planned, outputs }) =>
      outputs.map(({ name, safe }) => [`${planned.id}.${name}`, safe] as const),
    ),
  )
}

export function kernelConfig(
  plan: SafetyPlan,
  actuators: readonly DrivenActuator[],
  startId: string,
): KernelConfig {
  const { config } = plan
  const pace = paceOf(actuators)
  const ofParts = actuators.flatMap(({ planned, driver }) =>
    (driver.constraints?.(planned.options) ?? []).map((constraint) => withPart(planned.id, constraint)),
  )
  return {
    components: actuators.map(({ planned, driver, outputs }) => ({
      id: planned.id,
      outputs,
      exclusive: planned.exclusive,
      keepWithoutNetwork: planned.keepWithoutNetwork,
      ...(driver.safetyClass === undefined ? {} : { safetyClass: driver.safetyClass }),
    })),
    constraints: [...ofParts, ...(config.constraints ?? [])],
    inputs: (config.inputs ?? []).map(({ name }) => name),
    arming: config.arming ?? 'automatic',
    hasConflictMonitor: config.conflictMonitor !== undefined,
    // A sign of life is seen one cycle later at most: the promise to the person includes it.
    silenceMsMax: Math.max(silenceMsMax(plan) - pace.cycleMs, 1),
    rampTickMs: pace.rampTickMs,
    startId,
  }
}

/** A driver's own rule, over full names. */
export function withPart(part: string, constraint: Constraint): Constraint {
  const full = (name: string) => `${part}.${name}`
  const fullKeys = (values: OutputValues) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [full(name), value]))
  switch (constraint.rule) {
    case 'mutex':
      return { ...constraint, outputs: constraint.outputs.map(full) }
    case 'permissive': {
      const together = constraint.together.map(([one, other]) => [full(one), full(other)] as const)
      return { ...constraint, outputs: constraint.outputs.map(full), together }
    }
    case 'clearance':
      return { ...constraint, groups: constraint.groups.map((group) => group.map(full)) }
    case 'sequence': {
      const states = Object.entries(constraint.states).map(([state, values]) => [state, fullKeys(values)])
      return { ...constraint, outputs: constraint.outputs.map(full), states: Object.fromEntries(states) }
    }
    case 'dependency':
      return { ...constraint, output: full(constraint.output), needs: full(constraint.needs) }
    default:
      return { ...constraint, output: full(constraint.output) }
  }
}
