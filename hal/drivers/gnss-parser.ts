/**
 * From sentences of NMEA 0183 to readings. The sentences of one time make one reading; which of them a receiver sends is
 * learnt from its first time. Without a fix the last place is given as `stale`, or none is; receivers that reckon are
 * `stale` too, those that simulate or were set by hand `implausible`.
 *
 * Source: see nmea.ts. Knot: 1852 m an hour (BIPM SI Brochure, 8th edition, table 8).
 */
import type { ChannelName, ChannelValue, Quality } from '../contract/channels.ts'
import { angle, decimal, NmeaReader, type Sentence } from './nmea.ts'
import { plausible, type Values } from './sensor-device.ts'
import type { StreamParser } from './stream-sensor.ts'

const mPerSPerKnot = 1852 / 3600
/** GPS, GLONASS, Galileo, BeiDou (two names), QZSS (two), NavIC, and all together. */
const talkers: ReadonlySet<string> = new Set(['GP', 'GL', 'GA', 'GB', 'BD', 'GQ', 'QZ', 'GI', 'GN'])

export const gnssRanges = {
  latitude: { min: -90, max: 90, resolution: 1e-6 },
  longitude: { min: -180, max: 180, resolution: 1e-6 },
  altitude: { min: -500, max: 18_000, resolution: 0.05 },
  /** 1000 knots: receivers that may be exported say nothing above. */
  speed: { min: 0, max: 1000 * mPerSPerKnot, resolution: 0.03 },
  course: { min: 0, max: 360, resolution: 0.05 },
  satellites: { min: 0, max: 99, resolution: 0.5 },
} as const satisfies Partial<Record<ChannelName, { min: number; max: number; resolution: number }>>
export type GnssChannel = keyof typeof gnssRanges
const ofTheFix = ['latitude', 'longitude', 'altitude', 'speed', 'course'] as const

/** What one sentence says; NaN where a field is wrong. `quality` undefined: it does not say whether there is a fix. */
interface Report {
  readonly time?: string
  readonly quality?: Quality
  readonly values: Readonly<Partial<Record<GnssChannel, number | undefined>>>
}

/** GGA field 6: 0 none, 1 to 5 measured, 6 estimated, 7 manual, 8 simulated. */
const ggaQuality = (fix: string): Quality =>
  fix >= '1' && fix <= '5' ? 'ok' : fix === '7' || fix === '8' ? 'implausible' : 'stale'
/** Mode of RMC and VTG, where it is there (from version 2.3). */
const modeQuality = (mode: string | undefined): Quality =>
  mode === 'M' || mode === 'S' ? 'implausible' : mode === 'E' || mode === 'N' ? 'stale' : 'ok'

function gga([
  time,
  latitude,
  ns,
  longitude,
  ew,
  fix = '',
  satellites,
  ,
  altitude,
]: readonly string[]): Report {
  return {
    time: time ?? '',
    quality: ggaQuality(fix),
    values: {
      latitude: angle(latitude, ns, 90),
      longitude: angle(longitude, ew, 180),
      altitude: decimal(altitude),
      satellites: decimal(satellites) ?? (fix === '0' ? 0 : undefined),
    },
  }
}

function rmc([
  time,
  status,
  latitude,
  ns,
  longitude,
  ew,
  knots,
  course,
  ,
  ,
  ,
  mode,
]: readonly string[]): Report {
  const speed = decimal(knots)
  return {
    time: time ?? '',
    quality: status === 'A' ? modeQuality(mode) : 'stale',
    values: {
      latitude: angle(latitude, ns, 90),
      longitude: angle(longitude, ew, 180),
      speed: speed === undefined ? undefined : speed * mPerSPerKnot,
      course: decimal(course),
    },
  }
}

function vtg([course, , , , knots, , , , mode]: readonly string[]): Report {
  const speed = decimal(knots)
  return {
    ...(mode === undefined ? {} : { quality: modeQuality(mode) }),
    values: { course: decimal(course), speed: speed === undefined ? undefined : speed * mPerSPerKnot },
  }
}

const reports: Readonly<Record<string, (fields: readonly string[]) => Report>> = {
  GGA: gga,
  RMC: rmc,
  VTG: vtg,
}

export class GnssParser implements StreamParser {
  readonly #reader = new NmeaReader()
  readonly #known = new Map<GnssChannel, number>()
  /** Sentences of the last whole time: with all of them a reading is complete. */
  #expected: ReadonlySet<string> = new Set()
  #seen = new Set<string>()
  #time = ''
  #quality: Quality = 'stale'
  #values = new Map<GnssChannel, ChannelValue>()
  #given = true
  #wrong = 0

  get refused(): number {
    return this.#reader.refused + this.#wrong
  }

  faults(): readonly string[] {
    return this.#quality === 'ok' ? [] : ['no position fix']
  }

  take(bytes: Uint8Array): readonly Values[] {
    return this.#reader.take(bytes).flatMap((sentence) => this.#sentence(sentence))
  }

  #sentence({ talker, type, fields }: Sentence): Values[] {
    const report = talkers.has(talker) ? reports[type]?.(fields) : undefined
    if (!report) return []
    if (Object.values(report.values).some((value) => Number.isNaN(value))) {
      this.#wrong += 1
      return []
    }
    const starts = report.time === undefined ? false : report.time !== this.#time || this.#seen.has(type)
    const late = starts ? this.#start(report.time ?? '') : []
    this.#add(type, report)
    const complete = !this.#given && this.#expected.size > 0 && this.#expected.isSubsetOf(this.#seen)
    return complete ? [...late, ...this.#give()] : late
  }

  /** A new time begins: what the last one lacked does not come any more. */
  #start(time: string): Values[] {
    const late = this.#given ? [] : this.#give()
    this.#expected = this.#seen
    this.#seen = new Set()
    this.#time = time
    this.#quality = 'ok'
    this.#values = new Map()
    this.#given = false
    return late
  }

  #add(type: string, { quality, values }: Report): void {
    this.#seen.add(type)
    // One sentence that says there is no fix is enough.
    if (quality !== undefined && quality !== 'ok') this.#quality = quality
    for (const name of Object.keys(values) as GnssChannel[]) {
      const value = values[name]
      if (value !== undefined)
        this.#values.set(name, plausible(value, gnssRanges[name].min, gnssRanges[name].max))
    }
  }

  #give(): Values[] {
    this.#given = true
    const quality = this.#quality
    const given: Partial<Record<ChannelName, ChannelValue>> = {}
    const satellites = this.#values.get('satellites')
    if (satellites) given.satellites = satellites
    for (const name of ofTheFix) {
      const found = this.#values.get(name)
      if (quality === 'ok' && found) {
        given[name] = found
        this.#known.set(name, found.value)
      } else if (quality === 'implausible' && found) given[name] = { value: found.value, quality }
      else {
        const value = this.#known.get(name)
        if (value !== undefined) given[name] = { value, quality: 'stale' }
      }
    }
    return Object.keys(given).length > 0 ? [given] : []
  }
}
