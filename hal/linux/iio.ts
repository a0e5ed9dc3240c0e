/**
 * Sensors that an Industrial I/O driver of the kernel measures (linux/Documentation/ABI/testing/sysfs-bus-iio). A device is
 * found by `label` or `name`, never by number. Values come in SI units: the ABI fixes one unit for each type.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import { fsError } from './errno.ts'
import { namesIn, readAttribute, readNumber } from './sysfs.ts'

/** From the ABI's unit to SI (or to ppm and percent), by type; a type that is not here is left out. */
const factors: Readonly<Record<string, number>> = {
  accel: 1,
  anglvel: 1,
  capacitance: 1e-9,
  concentration: 1e4,
  current: 1e-3,
  distance: 1,
  humidityrelative: 1e-3,
  illuminance: 1,
  magn: 1e-4,
  power: 1e-3,
  pressure: 1e3,
  resistance: 1,
  temp: 1e-3,
  voltage: 1e-3,
}

export interface IioDevice {
  /** Folder below /sys. */
  readonly folder: string
  /** `iio:device0`: the node's name, good until the next restart. */
  readonly node: string
  readonly name: string
  readonly label: string | undefined
  /** Channels that give a value (`temp`, `voltage0`, `accel_x`), and whether the driver has scaled it (`input`). */
  readonly channels: ReadonlyMap<string, 'raw' | 'input'>
}

export async function listIio(sys: string): Promise<IioDevice[]> {
  const root = join(sys, 'bus', 'iio', 'devices')
  const nodes = (await namesIn(root)).filter((name) => /^iio:device\d+$/.test(name))
  return Promise.all(
    nodes.map(async (node) => {
      const folder = join(root, node)
      return {
        folder,
        node,
        name: (await readAttribute(folder, 'name')) ?? node,
        label: await readAttribute(folder, 'label'),
        channels: channelsOf(await namesIn(folder)),
      }
    }),
  )
}

/** Where a channel has both, the driver's own scaling wins: `in_temp_input` sorts before `in_temp_raw`. */
function channelsOf(files: readonly string[]): IioDevice['channels'] {
  const channels = new Map<string, 'raw' | 'input'>()
  for (const file of files) {
    const [, channel, form] = /^in_(.+)_(raw|input)$/.exec(file) ?? []
    if (channel && factors[typeOf(channel)] !== undefined && !channels.has(channel))
      channels.set(channel, form as 'raw' | 'input')
  }
  return channels
}

/** The one device with this label or name. Throws HalError `not-present` that lists what there is. */
export async function findIio(sys: string, wanted: string): Promise<IioDevice> {
  const devices = await listIio(sys)
  const matching = devices.filter(({ label }) => label === wanted)
  const found = matching.length > 0 ? matching : devices.filter(({ name }) => name === wanted)
  const [device] = found
  const known = devices.map(({ label, name }) => label ?? name).join(', ') || 'none'
  if (!device) throw new HalError('not-present', `iio ${wanted}: no such device; there are: ${known}`)
  if (found.length > 1)
    throw new HalError('out-of-range', `iio ${wanted}: ${found.length} devices have this name; use a label`)
  return device
}

/** Measures one channel, in SI units. Throws HalError `not-present`, `no-acknowledge`, `timeout`, `malformed`. */
export async function readIio(device: IioDevice, channel: string): Promise<number> {
  const what = `iio ${device.label ?? device.name} ${channel}`
  const form = device.channels.get(channel)
  if (form === undefined)
    throw new HalError(
      'not-present',
      `${what}: no such channel; there are: ${[...device.channels.keys()].join(', ')}`,
    )
  const value = await measured(what, join(device.folder, `in_${channel}_${form}`))
  if (form === 'input') return value * siFactor(channel)
  const { scale, offset } = await calibration(device, channel)
  return (value + offset) * scale * siFactor(channel)
}

/** What turns a raw number into the ABI's unit: `(raw + offset) × scale`. */
export async function calibration(
  { folder }: IioDevice,
  channel: string,
): Promise<{ readonly scale: number; readonly offset: number }> {
  const of = async (attribute: string) => {
    for (const name of sharedNames(channel)) {
      const value = await readNumber(folder, `in_${name}_${attribute}`)
      if (value !== undefined) return value
    }
    return undefined
  }
  return { scale: (await of('scale')) ?? 1, offset: (await of('offset')) ?? 0 }
}

/** From the ABI's unit of a channel to the SI unit. */
export function siFactor(channel: string): number {
  return factors[typeOf(channel)] ?? 1
}

async function measured(what: string, path: string): Promise<number> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw fsError(error, what, path)
  }
  const value = Number(text.trim() || Number.NaN)
  if (!Number.isFinite(value)) throw new HalError('malformed', `${what}: ${path} is not a number`)
  return value
}

/** An attribute may belong to a channel or be shared by its type: `in_voltage0_scale`, `in_voltage_scale`. */
function sharedNames(channel: string): string[] {
  return [...new Set([channel, channel.replace(/\d+/g, ''), typeOf(channel)])]
}

/** `voltage` of `voltage0-voltage1`, `accel` of `accel_x`. */
function typeOf(channel: string): string {
  return /^[a-z]+/.exec(channel)?.[0] ?? ''
}
