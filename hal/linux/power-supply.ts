/**
 * What this machine is powered by and how full its battery is: the kernel's power supplies (linux/Documentation/ABI/testing/
 * sysfs-class-power). What no supply says stays unknown.
 */
import { join } from 'node:path'
import { namesIn, readAttribute, readNumber } from './sysfs.ts'

export interface PowerSource {
  /** False: on battery. */
  readonly mains?: boolean
  /** Of all batteries together, 0 to 100. */
  readonly batteryPercent?: number
}

interface Supply {
  readonly isBattery: boolean
  readonly online?: boolean
  readonly status?: string
  readonly percent?: number
}

export async function readPowerSource(sys: string): Promise<PowerSource> {
  const folder = join(sys, 'class', 'power_supply')
  const all = await Promise.all((await namesIn(folder)).map((name) => readSupply(join(folder, name))))
  const supplies = all.filter((supply) => supply !== undefined)
  const batteries = supplies.filter(({ isBattery }) => isBattery)
  const percents = batteries.map(({ percent }) => percent).filter((percent) => percent !== undefined)
  const mains = isOnMains(supplies, batteries)
  return {
    ...(mains === undefined ? {} : { mains }),
    ...(percents.length === 0 ? {} : { batteryPercent: mean(percents) }),
  }
}

/** A supply of this machine; undefined for the battery of a mouse, and for one that says nothing of its kind. */
async function readSupply(folder: string): Promise<Supply | undefined> {
  const type = await readAttribute(folder, 'type')
  if (type === undefined || (await readAttribute(folder, 'scope')) === 'Device') return undefined
  const isBattery = type === 'Battery' || type === 'UPS'
  const online = await readNumber(folder, 'online')
  const status = await readAttribute(folder, 'status')
  const percent = await readNumber(folder, 'capacity')
  return {
    isBattery,
    ...(online === undefined ? {} : { online: online > 0 }),
    ...(status === undefined ? {} : { status }),
    ...(percent === undefined || percent < 0 || percent > 100 ? {} : { percent }),
  }
}

/** A supply from outside that is online settles it; then what the batteries say of themselves. */
function isOnMains(supplies: readonly Supply[], batteries: readonly Supply[]): boolean | undefined {
  const outside = supplies.filter(({ isBattery, online }) => !isBattery && online !== undefined)
  if (outside.some(({ online }) => online)) return true
  if (batteries.some(({ status }) => status === 'Discharging')) return false
  if (batteries.some(({ status }) => status === 'Charging' || status === 'Full')) return true
  return outside.length > 0 && batteries.length > 0 ? false : undefined
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length
