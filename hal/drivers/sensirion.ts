/** Words as Sensirion's parts send them: big-endian, each with its CRC (SHT4x data sheet, "Checksum Calculation"). */
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { crc8, sensirionCrc } from './crc.ts'

/** Throws HalError `checksum` where a CRC does not fit. */
export function wordsOf(bytes: Uint8Array, place: string): number[] {
  const words: number[] = []
  for (let at = 0; at + 2 < bytes.length; at += 3) {
    const [high = 0, low = 0, crc] = bytes.subarray(at, at + 3)
    if (crc8(Uint8Array.of(high, low), sensirionCrc) !== crc)
      throw new HalError('checksum', `${place}: the checksum of word ${at / 3} does not fit`)
    words.push((high << 8) | low)
  }
  return words
}

/** A 16-bit command, with the word that it takes. */
export function sendCommand(i2c: I2c, command: number, word?: number): void {
  const bytes = [command >> 8, command & 0xff]
  if (word !== undefined) {
    const argument = Uint8Array.of(word >> 8, word & 0xff)
    bytes.push(...argument, crc8(argument, sensirionCrc))
  }
  i2c.write(Uint8Array.from(bytes))
}
