/**
 * What a module's sample object means in channels (ECMA-419, clause 14): values of a plain sensor stand in the sample
 * itself, those of a compound one in an object of their own (`thermometer`, `hygrometer`, …). Units are the standard's; only
 * distance, which it has in centimetres, is another here.
 */
import type { ChannelName, ChannelValue, Reading } from '../contract/channels.ts'
import { HalError } from '../contract/errors.ts'

interface Rule {
  /** Name of the sub-object in a compound sample. */
  readonly within: string
  readonly property: string
  readonly channel: ChannelName
  /** The standard's unit in the channel's. */
  readonly scale?: number
}

const rules: readonly Rule[] = [
  { within: 'thermometer', property: 'temperature', channel: 'temperature' },
  { within: 'hygrometer', property: 'humidity', channel: 'humidity' },
  { within: 'barometer', property: 'pressure', channel: 'pressure' },
  { within: 'lightmeter', property: 'illuminance', channel: 'illuminance' },
  { within: 'carbonDioxideDetector', property: 'CO2', channel: 'co2' },
  { within: 'particulateMatterDetector', property: 'particulateMatter', channel: 'pm25' },
  { within: 'proximity', property: 'distance', channel: 'distance', scale: 0.01 },
  { within: 'switch', property: 'position', channel: 'level' },
  { within: 'accelerometer', property: 'x', channel: 'acceleration_x' },
  { within: 'accelerometer', property: 'y', channel: 'acceleration_y' },
  { within: 'accelerometer', property: 'z', channel: 'acceleration_z' },
  { within: 'gyroscope', property: 'x', channel: 'angular_velocity_x' },
  { within: 'gyroscope', property: 'y', channel: 'angular_velocity_y' },
  { within: 'gyroscope', property: 'z', channel: 'angular_velocity_z' },
]
/** A sample has a few properties and faults; more would only fill a message. */
const namesMax = 16
/** A module's own clock may be off; one that is off by more than a day counts from somewhere else. */
const clockMsMax = 86_400_000
/** `x` alone does not say of what: outside a compound sample it takes the option `channels` to know. */
const ambiguous: ReadonlySet<string> = new Set(['x', 'y', 'z'])

/** Throws HalError `other` where nothing in the sample is a channel, or one is no number; `busy` where there is no sample. */
export function readingOf(
  sample: unknown,
  expected: readonly ChannelName[],
  nowMs: number,
): { readonly reading: Reading; readonly faults: readonly string[] } {
  if (!isObject(sample)) throw new HalError('busy', 'the module has no sample yet')
  const channels: Partial<Record<ChannelName, ChannelValue>> = {}
  for (const { within, property, channel, scale = 1 } of rules) {
    if (expected.length > 0 && !expected.includes(channel)) continue
    const inside = sample[within]
    const flat = ambiguous.has(property) && expected.length === 0 ? undefined : sample[property]
    const value = isObject(inside) ? inside[property] : flat
    if (value === undefined) continue
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw new HalError('other', `its sample has ${shown(value)} as ${property}, which is no number`)
    channels[channel] = { value: value * scale, quality: 'ok' }
  }
  if (Object.keys(channels).length === 0) {
    const names = Object.keys(sample).slice(0, namesMax).join(', ')
    throw new HalError('other', `the sample {${names}} has no channel that is known`)
  }
  const { time } = sample
  const isBelievable = typeof time === 'number' && Math.abs(time - nowMs) <= clockMsMax
  return {
    reading: { channels, tsMs: isBelievable ? time : nowMs },
    faults: isObject(sample['faults']) ? Object.keys(sample['faults']).slice(0, namesMax) : [],
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
