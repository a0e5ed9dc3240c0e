/** Pins for the measurement of expiries: every write is a line in the file of GANGLION_BENCH_WRITES, with its time. */
import { appendFileSync } from 'node:fs'
import type { Io } from '../../../hal/contract/io.ts'
import { refusingIo } from '../../fixtures/safety/refusing-io.ts'

const file = process.env['GANGLION_BENCH_WRITES'] ?? ''

export function createIo(): Io {
  return {
    ...refusingIo,
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
  }
}
