/**
 * What kernel drivers measure by themselves on this machine, as host sensors: under-voltage of the supply, power of the rails,
 * mains or battery, throttling, and every Industrial I/O device. No configuration: a device-tree overlay is enough for a sensor to appear.
 */
import { join } from 'node:path'
import type { PowerTelemetry } from '../contract/board.ts'
import type { HostSource } from './host-sensor.ts'
import { readRails, readThrottled, underVoltage } from './hwmon.ts'
import { type IioDevice, listIio, readIio } from './iio.ts'
import { readPowerSource } from './power-supply.ts'
import { namesIn, readAttribute } from './sysfs.ts'

/** Chips whose rails are those of the board: Jetson modules have it (linux/Documentation/hwmon/ina3221.rst). */
const railChips: readonly string[] = ['ina3221']
const supplyChip = 'rpi_volt'

/** Home Assistant's device class, unit and decimals of the SI values that `readIio` gives, by type of channel. */
const quantities: Readonly<
  Record<string, { readonly deviceClass: string; readonly unit: string; readonly decimals: number }>
> = {
  temp: { deviceClass: 'temperature', unit: '°C', decimals: 2 },
  humidityrelative: { deviceClass: 'humidity', unit: '%', decimals: 1 },
  pressure: { deviceClass: 'atmospheric_pressure', unit: 'Pa', decimals: 0 },
  illuminance: { deviceClass: 'illuminance', unit: 'lx', decimals: 1 },
  voltage: { deviceClass: 'voltage', unit: 'V', decimals: 3 },
  current: { deviceClass: 'current', unit: 'A', decimals: 3 },
  power: { deviceClass: 'power', unit: 'W', decimals: 3 },
  distance: { deviceClass: 'distance', unit: 'm', decimals: 3 },
}

/** `telemetry`: where the board's firmware says that it holds the processor back. */
export async function kernelSources(
  sys: string,
  telemetry: readonly PowerTelemetry[],
): Promise<HostSource[]> {
  const iio = (await listIio(sys)).flatMap((device) => iioSources(device))
  return [...(await powerSources(sys)), ...(await conditionSources(sys, telemetry)), ...iio]
}

/** Under what conditions the machine computes. */
async function conditionSources(sys: string, telemetry: readonly PowerTelemetry[]): Promise<HostSource[]> {
  const { mains, batteryPercent } = await readPowerSource(sys)
  const throttled: HostSource = {
    object: 'throttled',
    name: 'slowed down',
    deviceClass: 'problem',
    binary: true,
    measure: async () => flag(await readThrottled(sys, telemetry)),
  }
  const plugged: HostSource = {
    object: 'mains',
    name: 'on mains',
    deviceClass: 'plug',
    binary: true,
    measure: async () => flag((await readPowerSource(sys)).mains),
  }
  const battery: HostSource = {
    object: 'battery',
    name: 'battery',
    deviceClass: 'battery',
    unit: '%',
    measure: async () => (await readPowerSource(sys)).batteryPercent,
  }
  return [
    ...((await readThrottled(sys, telemetry)) === undefined ? [] : [throttled]),
    ...(mains === undefined ? [] : [plugged]),
    ...(batteryPercent === undefined ? [] : [battery]),
  ]
}

async function powerSources(sys: string): Promise<HostSource[]> {
  const chips = await Promise.all(
    (await namesIn(sys, 'class', 'hwmon')).map((name) =>
      readAttribute(join(sys, 'class', 'hwmon', name), 'name'),
    ),
  )
  const supply: HostSource[] = chips.includes(supplyChip)
    ? [
        {
          object: 'under_voltage',
          name: 'under-voltage',
          deviceClass: 'problem',
          binary: true,
          measure: async () => flag(await underVoltage(sys, supplyChip)),
        },
      ]
    : []
  const rails = await Promise.all(
    railChips.filter((chip) => chips.includes(chip)).map((chip) => railSources(sys, chip)),
  )
  return [...supply, ...rails.flat()]
}

async function railSources(sys: string, chip: string): Promise<HostSource[]> {
  const rails = await readRails(sys, chip)
  return rails.map(({ label }) => ({
    object: `power_${slug(label)}`,
    name: `power of ${label}`,
    deviceClass: 'power',
    unit: 'W',
    measure: async () => (await readRails(sys, chip)).find((rail) => rail.label === label)?.watts,
  }))
}

function iioSources(device: IioDevice): HostSource[] {
  const name = device.label ?? device.name
  return [...device.channels.keys()].flatMap((channel) => {
    const quantity = quantities[/^[a-z]+/.exec(channel)?.[0] ?? '']
    if (!quantity) return []
    const { deviceClass, unit, decimals } = quantity
    const measure = async () => Number((await readIio(device, channel)).toFixed(decimals))
    const object = `${slug(name)}_${slug(channel)}`
    return [{ object, name: `${name} ${channel}`, deviceClass, unit, mayBeAway: true, measure }]
  })
}

const flag = (value: boolean | undefined) => (value === undefined ? undefined : Number(value))

const slug = (text: string) =>
  text
    .toLowerCase()
    .match(/[a-z0-9]+/g)
    ?.join('_') ?? 'unnamed'
