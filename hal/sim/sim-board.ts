/** The simulated board: every entity of a home as a component, and the levers of its world. No hardware is touched. */
import type { Actuator } from '../contract/actuator.ts'
import type { HomeShare, Layout, SimControl, SimFault } from '../contract/board.ts'
import type { Json } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { Sensor } from '../contract/sensor.ts'
import { isActuatorKind } from './component-kind.ts'
import { HeatedHome } from './heating/heated-home.ts'
import type { ParsedEntity, ParsedHome } from './home.ts'
import { SimActuator } from './sim-actuator.ts'
import type { SimComponent } from './sim-component.ts'
import { SimSensor } from './sim-sensor.ts'
import { Plumbing } from './water/plumbing.ts'

export interface SimulatedHome {
  readonly layout: Layout
  readonly sensors: readonly Sensor[]
  readonly actuators: readonly Actuator[]
  readonly control: SimControl
  /** What goes on in it by itself: closed with its components. */
  readonly behind: readonly AsyncDisposable[]
}

/** Brings a parsed home to life on the host's clock. Its components are disposed by whoever opened the board. */
export function simulateHome(home: ParsedHome, host: Host, share?: HomeShare): SimulatedHome {
  const sensors: SimSensor[] = []
  const actuators: SimActuator[] = []
  for (const entity of home.entities) {
    if (isActuatorEntity(entity)) actuators.push(new SimActuator(entity, host))
    else sensors.push(new SimSensor(entity, host))
  }
  const byId = new Map<string, SimComponent>()
  for (const component of [...sensors, ...actuators]) byId.set(component.info.id, component)
  const heated = home.heating && new HeatedHome(home.heating, byId, host, share)
  heated?.start()
  const plumbing = home.water && new Plumbing(home.water, byId, host)
  plumbing?.start()
  const behind = [heated, plumbing].filter((one) => one !== undefined)
  return { layout: home.layout, sensors, actuators, control: new HomeControl(byId), behind }
}

function isActuatorEntity(entity: ParsedEntity): entity is ParsedEntity & { info: Actuator['info'] } {
  return isActuatorKind(entity.info.kind)
}

class HomeControl implements SimControl {
  readonly #byId: ReadonlyMap<string, SimComponent>

  constructor(byId: ReadonlyMap<string, SimComponent>) {
    this.#byId = byId
  }

  fault(componentId: string, fault: SimFault | undefined): void {
    const factor = fault?.factor ?? 1
    const count = fault?.count ?? 1
    if (!(factor > 0 && factor <= 1000))
      throw new HalError('out-of-range', `${componentId}: factor: ${factor} is not between 0 and 1000`)
    if (!(Number.isInteger(count) && count > 0))
      throw new HalError('out-of-range', `${componentId}: count: ${count} is not a whole number above 0`)
    this.#find(componentId).setFault(fault)
  }

  faults(): ReadonlyMap<string, SimFault> {
    const faults = new Map<string, SimFault>()
    for (const [id, { fault }] of this.#byId) if (fault) faults.set(id, fault)
    return faults
  }

  truth(componentId: string): { state: string; attributes: Readonly<Record<string, Json>> } {
    return this.#find(componentId).truth
  }

  set(componentId: string, change: { state?: string; attributes?: Readonly<Record<string, Json>> }): void {
    this.#find(componentId).setTruth(change)
  }

  #find(id: string): SimComponent {
    const component = this.#byId.get(id)
    if (!component) throw new HalError('not-present', `no simulated component ${JSON.stringify(id)}`)
    return component
  }
}
