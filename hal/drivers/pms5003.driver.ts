/**
 * Plantower PMS5003 particle sensor, in the active mode that it starts in: a frame every 0.2 to 2.3 s. Frames are found
 * again in noise; one with a wrong length or sum is refused. Values are those for the atmosphere.
 *
 * Source: "PMS5003 series data manual", Plantower, V2.3 (2016): technical index (range 0 to 500 µg/m³, at least 1000 as
 * most), appendix I (frame: 42h 4Dh, length 28, 13 words, sum of all bytes before it). Stable 30 s after power-on.
 */
import type { ChannelName } from '../contract/channels.ts'
import type { SensorDriver } from '../contract/driver.ts'
import { plausible, type Values } from './sensor-device.ts'
import { openStreamSensor, type StreamParser } from './stream-sensor.ts'

const baud = 9600
const start = [0x42, 0x4d] as const
/** Start, length, 13 words, sum. */
const frameBytes = 32
const payloadBytes = 28
const maxUgPerM3 = 1000
/** Words 4 to 6, at these bytes: under atmospheric environment. */
const places = { pm1: 10, pm25: 12, pm10: 14 } as const satisfies Partial<Record<ChannelName, number>>

export class Pms5003Parser implements StreamParser {
  refused = 0
  /** Less than a frame, beginning with what may be one. */
  #rest = new Uint8Array(0)

  take(bytes: Uint8Array): readonly Values[] {
    const all = new Uint8Array(this.#rest.length + bytes.length)
    all.set(this.#rest)
    all.set(bytes, this.#rest.length)
    const found: Values[] = []
    let at = 0
    while (at < all.length) {
      at = startIn(all, at)
      const frame = all.subarray(at, at + frameBytes)
      if (frame.length < frameBytes) break
      const values = valuesOf(frame)
      if (values) found.push(values)
      else this.refused += 1
      at += values ? frameBytes : 1
    }
    this.#rest = all.slice(at)
    return found
  }
}

/** Where a frame may start, at or after `from`; the end where none does. */
function startIn(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] === start[0] && (at + 1 === bytes.length || bytes[at + 1] === start[1])) return at
  }
  return bytes.length
}

/** The values of a whole frame; undefined where length or sum is wrong. */
function valuesOf(frame: Uint8Array): Values | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const sum = frame.subarray(0, frameBytes - 2).reduce((total, byte) => total + byte, 0)
  if (view.getUint16(2) !== payloadBytes || view.getUint16(frameBytes - 2) !== sum) return undefined
  const value = (place: number) => {
    const read = view.getUint16(place)
    return plausible(read, 0, maxUgPerM3, read > maxUgPerM3)
  }
  return { pm1: value(places.pm1), pm25: value(places.pm25), pm10: value(places.pm10) }
}

export const pms5003: SensorDriver = {
  role: 'sensor',
  id: 'pms5003',
  name: 'Plantower PMS5003 particle sensor',
  manufacturer: 'Plantower',
  model: 'PMS5003',
  datasheet: 'PMS5003 series data manual V2.3, appendix I',
  connection: { bus: 'serial', baud },
  options: {},
  channels: () => ['pm1', 'pm25', 'pm10'],
  ranges: () => {
    const range = { min: 0, max: maxUgPerM3, resolution: 0.5 }
    return { pm1: range, pm25: range, pm10: range }
  },
  checksummed: true,
  sampleEveryMs: { min: 2500, default: 30_000 },
  sampleMsMax: 5000,
  open: (context, signal) =>
    openStreamSensor(
      context,
      {
        baud,
        identification: { model: 'PMS5003', classification: 'particles' },
        parser: new Pms5003Parser(),
        messageMsMax: 4500,
      },
      signal,
    ),
}
