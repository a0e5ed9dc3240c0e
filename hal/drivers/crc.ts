/** The checksums that parts put over what they send. */

export interface Crc8 {
  readonly polynomial: number
  readonly initial: number
  /** Least significant bit first; the polynomial is then written mirrored. */
  readonly reflected: boolean
}

/** Sensirion SHT4x data sheet, "Checksum Calculation"; SCD4x, version 1.3, section 3.11. CRC of BE EF is 92. */
export const sensirionCrc: Crc8 = { polynomial: 0x31, initial: 0xff, reflected: false }

/** Maxim application note 27: X^8 + X^5 + X^4 + 1, least significant bit first. */
export const dallasCrc: Crc8 = { polynomial: 0x8c, initial: 0x00, reflected: true }

export function crc8(bytes: Uint8Array, { polynomial, initial, reflected }: Crc8): number {
  let crc = initial
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) {
      if (reflected) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
      else crc = crc & 0x80 ? ((crc << 1) ^ polynomial) & 0xff : crc << 1
    }
  }
  return crc
}
