/** NMEA 0183 sentences and what a receiver's stream becomes; sentences from "NMEA Revealed" and "NMEA data" (see nmea.ts). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GnssParser } from '../../../../hal/drivers/gnss-parser.ts'
import { angle, decimal, NmeaReader, parseSentence } from '../../../../hal/drivers/nmea.ts'

const gga = '$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47'
const rmc = '$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A'
const vtg = '$GPVTG,054.7,T,034.4,M,005.5,N,010.2,K*48'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const withSum = (body: string) => {
  const sum = [...bytes(body)].reduce((xor, byte) => xor ^ byte, 0)
  return `$${body}*${sum.toString(16).padStart(2, '0')}\r\n`
}
/** One second of a receiver, `time` hhmmss. */
const epoch = (time: string, talker = 'GP', fix = '1') =>
  withSum(`${talker}RMC,${time},A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W`) +
  withSum(`${talker}GGA,${time},4807.038,N,01131.000,E,${fix},08,0.9,545.4,M,46.9,M,,`)

describe('sentences', () => {
  test.each([
    [gga, 'GP', 'GGA', 14],
    [rmc, 'GP', 'RMC', 11],
    [vtg, 'GP', 'VTG', 8],
  ])('%s has a good checksum', (line, talker, type, fields) => {
    const sentence = parseSentence(line)
    expect(sentence).toMatchObject({ talker, type })
    expect(sentence?.fields).toHaveLength(fields)
  })

  test('any changed character, a missing checksum and a wrong one are refused', () => {
    for (let at = 1; at < gga.length; at++) {
      const wrong = gga[at] === '0' ? '1' : '0'
      if (gga[at] === wrong) continue
      expect(parseSentence(gga.slice(0, at) + wrong + gga.slice(at + 1)), `at ${at}`).toBeUndefined()
    }
    expect(parseSentence(gga.slice(0, -3))).toBeUndefined()
    expect(parseSentence('')).toBeUndefined()
  })

  test('degrees and minutes become degrees, south and west negative', () => {
    expect(angle('4807.038', 'N', 90)).toBeCloseTo(48 + 7.038 / 60, 9)
    expect(angle('01131.000', 'W', 180)).toBeCloseTo(-(11 + 31 / 60), 9)
    expect(angle('', '', 90)).toBeUndefined()
    for (const [field, hemisphere] of [
      ['4860.000', 'N'],
      ['9000.001', 'N'],
      ['4807.038', 'X'],
      ['48x7', 'N'],
    ])
      expect(angle(field, hemisphere, 90)).toBeNaN()
    expect(decimal('')).toBeUndefined()
    expect(decimal('1e5')).toBeNaN()
    expect(decimal('-17.2')).toBe(-17.2)
  })

  test('a line without an end is bounded, and the next sentence is read', () => {
    const reader = new NmeaReader()
    expect(reader.take(bytes(`$GPGGA,${'1'.repeat(100_000)}`))).toEqual([])
    expect(reader.refused).toBe(1)
    expect(reader.take(bytes(`${gga}\r\n`))).toHaveLength(1)
  })

  test('sentences are found in noise, however they are cut into pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 2, maxLength: 2 }),
        fc.integer({ min: 1, max: 30 }),
        ([before = new Uint8Array(0), between = new Uint8Array(0)], size) => {
          const stream = Buffer.concat([before, bytes(`${gga}\r\n`), between, bytes(`${rmc}\r\n`)])
          const reader = new NmeaReader()
          const found = []
          for (let at = 0; at < stream.length; at += size)
            found.push(...reader.take(stream.subarray(at, at + size)))
          expect(found.map(({ type }) => type)).toEqual(['GGA', 'RMC'])
        },
      ),
    )
  })
})

describe('readings of a receiver', () => {
  test('the sentences of one time are one reading, once it is known which come', () => {
    const parser = new GnssParser()
    expect(parser.take(bytes(epoch('123519')))).toEqual([])
    const readings = parser.take(bytes(epoch('123520')))
    expect(readings).toHaveLength(2)
    const [late, now] = readings
    for (const reading of [late, now]) {
      expect(reading?.latitude?.value).toBeCloseTo(48.1173, 6)
      expect(reading?.longitude?.value).toBeCloseTo(11.516667, 6)
      expect(reading?.altitude).toEqual({ value: 545.4, quality: 'ok' })
      expect(reading?.speed?.value).toBeCloseTo(22.4 * 0.514444, 3)
      expect(reading?.course).toEqual({ value: 84.4, quality: 'ok' })
      expect(reading?.satellites).toEqual({ value: 8, quality: 'ok' })
    }
    expect(parser.take(bytes(epoch('123521')))).toHaveLength(1)
  })

  test.each(['GP', 'GN', 'GL', 'GA', 'GB', 'BD', 'GQ'])('the talker %s is heard', (talker) => {
    const parser = new GnssParser()
    expect(parser.take(bytes(epoch('1', talker) + epoch('2', talker)))).toHaveLength(2)
  })

  test('other talkers and proprietary sentences are not', () => {
    const parser = new GnssParser()
    expect(parser.take(bytes(epoch('1', 'II') + epoch('2', 'II') + withSum('PUBX,00,1,2')))).toEqual([])
  })

  test('without a fix the last place is stale, and nothing is invented before the first', () => {
    const parser = new GnssParser()
    const nothing = withSum('GPRMC,,V,,,,,,,,,,N') + withSum('GPGGA,,,,,,0,,,,,,,,')
    const first = parser.take(bytes(nothing + nothing))
    expect(first.length).toBeGreaterThan(0)
    for (const reading of first) expect(reading).toEqual({ satellites: { value: 0, quality: 'ok' } })
    expect(parser.faults()).toEqual(['no position fix'])
    parser.take(bytes(epoch('1') + epoch('2')))
    expect(parser.faults()).toEqual([])
    const [lost] = parser.take(bytes(nothing)).slice(-1)
    expect(lost?.latitude).toMatchObject({ quality: 'stale' })
    expect(lost?.latitude?.value).toBeCloseTo(48.1173, 6)
    expect(lost?.satellites).toEqual({ value: 0, quality: 'ok' })
  })

  test.each([
    ['6', 'stale'],
    ['7', 'implausible'],
    ['8', 'implausible'],
  ])('a position of kind %s is %s', (fix, quality) => {
    const parser = new GnssParser()
    parser.take(bytes(epoch('1') + epoch('2')))
    const [last] = parser.take(bytes(epoch('3', 'GP', fix) + epoch('4', 'GP', fix))).slice(-1)
    expect(last?.latitude?.quality).toBe(quality)
  })

  test('a sentence with a wrong field counts as refused, and gives nothing', () => {
    const parser = new GnssParser()
    parser.take(bytes(withSum('GPGGA,1,9907.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,')))
    expect(parser.refused).toBe(1)
  })

  test('whatever bytes come, every value is finite', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.uint8Array(), fc.constantFrom(bytes(epoch('1')), bytes(epoch('2'))))),
        (parts) => {
          const parser = new GnssParser()
          for (const reading of parts.flatMap((part) => parser.take(part)))
            for (const channel of Object.values(reading)) expect(Number.isFinite(channel.value)).toBe(true)
        },
      ),
    )
  })
})
