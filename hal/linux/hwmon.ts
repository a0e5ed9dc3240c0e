/**
 * Temperatures, rails and alarms that kernel drivers measure: thermal zones (linux/Documentation/driver-api/thermal/
 * sysfs-api.rst) and hwmon (linux/Documentation/hwmon/sysfs-interface.rst). Found by `type` and `name`; numbers move.
 */
import { join } from 'node:path'
import type { PowerTelemetry, ThermalZone } from '../contract/board.ts'
import { namesIn, readAttribute, readNumber } from './sysfs.ts'

export interface ThermalState {
  /** `type` of the zone. */
  readonly type: string
  readonly tempC: number
  readonly verdict: 'ok' | 'warm' | 'critical'
  /** As the board states them, or else the kernel's own trip points. */
  readonly warnC?: number
  readonly criticalC?: number
}

/** Every zone that has a reading now, judged by the board's limits where it states some. */
export async function readThermal(sys: string, limits: readonly ThermalZone[]): Promise<ThermalState[]> {
  const folder = join(sys, 'class', 'thermal')
  const zones = (await namesIn(folder)).filter((name) => /^thermal_zone\d+$/.test(name))
  const states = await Promise.all(zones.map((zone) => readZone(join(folder, zone), limits)))
  return states.filter((state) => state !== undefined)
}

async function readZone(zone: string, limits: readonly ThermalZone[]): Promise<ThermalState | undefined> {
  const type = await readAttribute(zone, 'type')
  const milli = await readNumber(zone, 'temp')
  if (type === undefined || milli === undefined) return undefined
  const stated = limits.find((limit) => limit.type === type)
  const warnC = stated?.warnC ?? (await tripPoint(zone, 'hot')) ?? (await tripPoint(zone, 'passive'))
  const criticalC = stated?.criticalC ?? (await tripPoint(zone, 'critical'))
  const tempC = milli / 1000
  const reached = (limit: number | undefined) => limit !== undefined && tempC >= limit
  return {
    type,
    tempC,
    verdict: reached(criticalC) ? 'critical' : reached(warnC) ? 'warm' : 'ok',
    ...(warnC === undefined ? {} : { warnC }),
    ...(criticalC === undefined ? {} : { criticalC }),
  }
}

/** Lowest trip point of a type, °C. A trip at or below 0 is one that the driver left unset. */
async function tripPoint(zone: string, type: string): Promise<number | undefined> {
  const files = (await namesIn(zone)).filter((name) => /^trip_point_\d+_type$/.test(name))
  const temps = await Promise.all(
    files.map(async (file) =>
      (await readAttribute(zone, file)) === type
        ? readNumber(zone, file.replace(/type$/, 'temp'))
        : undefined,
    ),
  )
  const set = temps.filter((temp) => temp !== undefined && temp > 0).map((temp) => Number(temp) / 1000)
  return set.length > 0 ? Math.min(...set) : undefined
}

export interface Rail {
  /** `name` of the hwmon device. */
  readonly chip: string
  /** The channel's label, `VDD_IN`, or `in1` where it has none. */
  readonly label: string
  readonly volts?: number
  readonly amperes?: number
  readonly watts?: number
}

/** Rails of every hwmon device with this name: voltage and current as measured, power as measured or their product. */
export async function readRails(sys: string, chip: string): Promise<Rail[]> {
  const rails = await Promise.all((await hwmonFolders(sys, chip)).map((folder) => railsOf(folder, chip)))
  return rails.flat()
}

async function railsOf(folder: string, chip: string): Promise<Rail[]> {
  const numbers = (await namesIn(folder)).flatMap((name) => /^(?:in|curr)(\d+)_input$/.exec(name)?.[1] ?? [])
  const rails = await Promise.all([...new Set(numbers)].map((number) => railOf(folder, chip, number)))
  return rails.filter((rail) => rail !== undefined)
}

async function railOf(folder: string, chip: string, number: string): Promise<Rail | undefined> {
  // INA3221 (linux/Documentation/hwmon/ina3221.rst): in1..3 are the rails; in4..6 and up are shunts and sums, without a current.
  const milliamperes = await readNumber(folder, `curr${number}_input`)
  const millivolts = await readNumber(folder, `in${number}_input`)
  if (milliamperes === undefined) return undefined
  const label =
    (await readAttribute(folder, `in${number}_label`)) ??
    (await readAttribute(folder, `curr${number}_label`)) ??
    `in${number}`
  const microwatts = await readNumber(folder, `power${number}_input`)
  const watts =
    microwatts !== undefined
      ? microwatts / 1e6
      : millivolts === undefined
        ? undefined
        : (millivolts * milliamperes) / 1e6
  return {
    chip,
    label,
    ...(millivolts === undefined ? {} : { volts: millivolts / 1000 }),
    amperes: milliamperes / 1000,
    ...(watts === undefined ? {} : { watts }),
  }
}

export interface PowerState {
  readonly kind: PowerTelemetry['kind']
  readonly name: string
  /** True while, or since the last look at which, power was short or the clock was held back. Absent for rails. */
  readonly alarm?: boolean
  readonly rails?: readonly Rail[]
  /** Why there is neither. */
  readonly whyNot?: string
}

/** What each power telemetry of the board says now. */
export function readPower(sys: string, telemetry: readonly PowerTelemetry[]): Promise<PowerState[]> {
  return Promise.all(telemetry.map((one) => readOne(sys, one)))
}

async function readOne(sys: string, one: PowerTelemetry): Promise<PowerState> {
  const { kind, name } = one
  if (kind === 'rail' && one.hwmon !== undefined) {
    const rails = await readRails(sys, one.hwmon)
    return rails.length > 0 ? { kind, name, rails } : { kind, name, whyNot: `no hwmon device ${one.hwmon}` }
  }
  const alarm = one.hwmon === undefined ? await alarmAt(sys, one.path) : await underVoltage(sys, one.hwmon)
  if (alarm !== undefined) return { kind, name, alarm }
  return { kind, name, whyNot: `no ${one.hwmon === undefined ? one.path : `hwmon device ${one.hwmon}`}` }
}

/** Any `in<n>_lcrit_alarm` of a device: `rpi_volt` has `in0` (linux/drivers/hwmon/raspberrypi-hwmon.c). */
export async function underVoltage(sys: string, chip: string): Promise<boolean | undefined> {
  let seen: boolean | undefined
  for (const folder of await hwmonFolders(sys, chip))
    for (const name of await namesIn(folder)) {
      if (!/^in\d+_lcrit_alarm$/.test(name)) continue
      const alarm = await readNumber(folder, name)
      if (alarm !== undefined) seen = (seen ?? false) || alarm !== 0
    }
  return seen
}

/** A file below /sys that is not 0 when there is something: decimal, or the hexadecimal bits of `get_throttled`. */
async function alarmAt(sys: string, path: string | undefined): Promise<boolean | undefined> {
  const bits = await bitsAt(sys, path)
  return bits === undefined ? undefined : bits !== 0
}

async function bitsAt(sys: string, path: string | undefined): Promise<number | undefined> {
  if (path === undefined) return undefined
  const text = await readAttribute(sys, path.replace(/^\/sys\//, ''))
  if (text === undefined || !/^(0x)?[0-9a-f]+$/i.test(text)) return undefined
  return Number.parseInt(text.replace(/^0x/, ''), 16)
}

/** Bits of `get_throttled` that hold now, not some time since the start: frequency capped, throttled, soft limit of temperature. */
const throttledNow = 0b1110

/**
 * Whether the processor is held back now, as the board's firmware says (`get_throttled`: os/raspberry-pi-os of the Raspberry Pi
 * documentation) or the kernel's cooling by frequency (linux/drivers/thermal/cpufreq_cooling.c). Undefined where neither speaks.
 */
export async function readThrottled(
  sys: string,
  telemetry: readonly PowerTelemetry[],
): Promise<boolean | undefined> {
  const paths = telemetry.filter(({ kind }) => kind === 'throttle').map(({ path }) => path)
  const bits = await Promise.all(paths.map((path) => bitsAt(sys, path)))
  const firmware = bits.filter((value) => value !== undefined).map((value) => (value & throttledNow) !== 0)
  const said = [...firmware, ...(await cooling(sys))]
  return said.length === 0 ? undefined : said.includes(true)
}

async function cooling(sys: string): Promise<boolean[]> {
  const folder = join(sys, 'class', 'thermal')
  const devices = (await namesIn(folder)).filter((name) => /^cooling_device\d+$/.test(name))
  const states = await Promise.all(
    devices.map(async (device) =>
      /^(thermal-)?cpufreq-/.test((await readAttribute(folder, device, 'type')) ?? '')
        ? readNumber(folder, device, 'cur_state')
        : undefined,
    ),
  )
  return states.filter((state) => state !== undefined).map((state) => state > 0)
}

async function hwmonFolders(sys: string, chip: string): Promise<string[]> {
  const folder = join(sys, 'class', 'hwmon')
  const found: string[] = []
  for (const name of await namesIn(folder))
    if ((await readAttribute(folder, name, 'name')) === chip) found.push(join(folder, name))
  return found
}
