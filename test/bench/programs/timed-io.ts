/** Pins for the measurement of expiries: every write is a line in the file of GANGLION_BENCH_WRITES, with its time. */
import { appendFileSync } from 'node:fs'
import { HalError } from '../../../hal/contract/errors.ts'
import type { Io } from '../../../hal/contract/io.ts'

const file = process.env['GANGLION_BENCH_WRITES'] ?? ''

export function createIo(): Io {
  return {
    digitalBank: ({ pins }) => {
      let levels = pins.reduce((bits, { initial = 0 }, n) => bits | (initial << n), 0)
      return {
        read: () => levels,
        write(value) {
          const atMs = Number(process.hrtime.bigint()) / 1e6
          levels = value
          appendFileSync(file, `${atMs} ${value}\n`)
        },
        close: () => {},
      }
    },
    digital: refuse,
    pulseCount: refuse,
    pwm: refuse,
    analog: refuse,
    i2c: refuse,
    smbus: refuse,
    spi: refuse,
    serial: refuse,
    oneWire: refuse,
  }
}

function refuse(): never {
  throw new HalError('unsupported', 'one bank of lines is all there is')
}
