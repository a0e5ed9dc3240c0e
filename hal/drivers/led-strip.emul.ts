/**
 * A WS2812B strip: measures how long the line is high and low (WS2812B data sheet, "Data transfer time"), with SPI bits of
 * 1/2.4 µs. Each LED keeps the first 24 bits that it sees after a pause and passes the rest on; a pause of more than
 * 280 µs shows them.
 */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'

const bitNs = 1e9 / 2_400_000
const toleranceNs = 150
const pauseNs = 280_000

export const emulatedLedStrip: Emulator = ({ options }) => {
  const count = Number(options['count'])
  let shown = new Uint8Array(count * 3)

  /** A pulse's bit by the length of its high part; undefined where the data sheet allows neither. */
  const bitOf = (highNs: number): 0 | 1 | undefined => {
    if (Math.abs(highNs - 400) <= toleranceNs) return 0
    return Math.abs(highNs - 800) <= toleranceNs ? 1 : undefined
  }

  const receive = (bytes: Uint8Array) => {
    let bits: (0 | 1)[] = []
    let highNs = 0
    let lowNs = 0
    const low = () => {
      if (highNs > 0) {
        const bit = bitOf(highNs)
        // A pulse that is no bit spoils what follows it, until the next pause.
        if (bit !== undefined) bits.push(bit)
        else bits = []
      }
      highNs = 0
      lowNs += bitNs
      if (lowNs <= pauseNs || bits.length === 0) return
      shown = latched(shown, bits)
      bits = []
    }
    for (const byte of bytes) {
      for (let n = 7; n >= 0; n--) {
        if (((byte >> n) & 1) === 0) low()
        else {
          highNs += bitNs
          lowNs = 0
        }
      }
    }
  }

  return {
    spi: {
      transfer(bytes) {
        receive(bytes)
        return new Uint8Array(bytes.length)
      },
    },
    set(quantity) {
      throw new HalError('unsupported', `a LED strip is not exposed to ${quantity}`)
    },
    world() {
      const [first = 0, second = 0, blue = 0] = shown
      const [red, green] = options['order'] === 'rgb' ? [first, second] : [second, first]
      const lit = Array.from({ length: count }, (_, n) => shown.subarray(n * 3, n * 3 + 3)).filter((led) =>
        led.some((level) => level > 0),
      ).length
      const sum = shown.reduce((total, level) => total + level, 0)
      return { red, green, blue, lit, currentMa: count + (sum / 255) * 20 }
    },
  }
}

/** What the strip shows after a pause: whole LEDs only, the others as before. */
function latched(before: Uint8Array<ArrayBuffer>, bits: readonly number[]): Uint8Array<ArrayBuffer> {
  const after = before.slice()
  const whole = Math.min(after.length, Math.floor(bits.length / 24) * 3)
  for (let n = 0; n < whole; n++)
    after[n] = bits.slice(n * 8, n * 8 + 8).reduce((value: number, bit) => (value << 1) | bit, 0)
  return after
}
