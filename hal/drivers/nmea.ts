/**
 * Sentences of NMEA 0183: `$`, two letters of the talker, three of the formatter, fields, `*` and the XOR of everything
 * between as two hexadecimal digits, CR LF. Sentences without a good checksum are refused.
 *
 * Source: NMEA 0183 version 4.11, 5.3 (sentence structure; 82 characters at most), 6.3 (GGA, RMC, VTG), as told in
 * E. S. Raymond, "NMEA Revealed" (gpsd), and D. DePriest, "NMEA data".
 */

export interface Sentence {
  /** `GP`, `GN`, … */
  readonly talker: string
  /** `GGA`, `RMC`, … */
  readonly type: string
  readonly fields: readonly string[]
}

/** 82 by the standard; receivers with more digits send up to a hundred. */
const lineMax = 120

/** Cuts a stream into sentences; keeps at most one line. */
export class NmeaReader {
  refused = 0
  #line = ''

  take(bytes: Uint8Array): readonly Sentence[] {
    const found: Sentence[] = []
    for (const byte of bytes) {
      const character = String.fromCharCode(byte)
      if (character === '$') {
        // A new sentence before the last ended: that one was cut off.
        this.#refuseRest()
        this.#line = '$'
      } else if (character === '\n') {
        const sentence = parseSentence(this.#line.replace(/\r$/, ''))
        if (sentence) found.push(sentence)
        else this.#refuseRest()
        this.#line = ''
      } else if (this.#line !== '') {
        this.#line += character
        if (this.#line.length > lineMax) this.#refuseRest()
      }
    }
    return found
  }

  #refuseRest(): void {
    if (this.#line !== '') this.refused += 1
    this.#line = ''
  }
}

/** Undefined where it is none, or its checksum is wrong or missing. */
export function parseSentence(line: string): Sentence | undefined {
  const [, body = '', sum = ''] = /^\$([\x20-\x7e]{5,})\*([0-9A-Fa-f]{2})$/.exec(line) ?? []
  if (body === '' || checksum(body) !== Number.parseInt(sum, 16)) return undefined
  const [address = '', ...fields] = body.split(',')
  return /^[A-Z]{5}$/.test(address)
    ? { talker: address.slice(0, 2), type: address.slice(2), fields }
    : undefined
}

function checksum(body: string): number {
  let sum = 0
  for (let at = 0; at < body.length; at++) sum ^= body.charCodeAt(at)
  return sum
}

/** A decimal number; undefined for an empty field, NaN for anything else. */
export function decimal(field: string | undefined): number | undefined {
  if (field === undefined || field === '') return undefined
  return /^-?\d{1,10}(\.\d{1,12})?$/.test(field) ? Number(field) : Number.NaN
}

/** Degrees from `ddmm.mmmm` and hemisphere, south and west negative; undefined when both are empty, NaN when wrong. */
export function angle(
  field: string | undefined,
  hemisphere: string | undefined,
  max: 90 | 180,
): number | undefined {
  if (!field && !hemisphere) return undefined
  const [, degrees, minutes] = /^(\d{2,3})(\d{2}(?:\.\d{1,10})?)$/.exec(field ?? '') ?? []
  const sign = { N: 1, S: -1, E: 1, W: -1 }[hemisphere ?? ''] ?? Number.NaN
  const value = Number(degrees) + Number(minutes) / 60
  return Number(minutes) < 60 && value <= max ? sign * value : Number.NaN
}
