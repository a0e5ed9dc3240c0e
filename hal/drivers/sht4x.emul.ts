/**
 * Emulated SHT4x: acknowledges only its commands (data sheet, "Command Overview"), and no read before the result is there
 * (it is not acknowledged).
 */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'
import { crc8, sensirionCrc } from './crc.ts'
import { Exposure } from './exposure.ts'

const measurementMs: Readonly<Record<number, number>> = { 253: 6.9, 246: 3.7, 224: 1.3 }

const withCrc = (word: number): number[] => {
  const bytes = Uint8Array.of(word >> 8, word & 0xff)
  return [...bytes, crc8(bytes, sensirionCrc)]
}
const code = (fraction: number): number => Math.round(Math.min(1, Math.max(0, fraction)) * 65_535)

export const emulatedSht4x: Emulator = ({ host, at }) => {
  const exposure = new Exposure({ temperature: 21.5, humidity: 45 })
  const serial = 0x0a1b_0000 + Number(at.address ?? 0)
  let result: (() => number[]) | undefined
  let readyAtMs = 0
  const refuse = (): never => {
    throw new HalError('no-acknowledge', 'SHT4x')
  }
  const start = (afterMs: number, give: () => number[]) => {
    result = give
    readyAtMs = host.clock.monotonicMs() + afterMs
  }
  return {
    i2c: {
      write(bytes) {
        const [command = -1] = bytes
        if (bytes.length !== 1 || host.clock.monotonicMs() < readyAtMs) refuse()
        const ms = measurementMs[command]
        if (ms !== undefined)
          start(ms, () => [
            ...withCrc(code((exposure.get('temperature') + 45) / 175)),
            ...withCrc(code((exposure.get('humidity') + 6) / 125)),
          ])
        else if (command === 0x89) start(0.1, () => [...withCrc(serial >>> 16), ...withCrc(serial & 0xffff)])
        else if (command === 0x94) {
          result = undefined
          readyAtMs = host.clock.monotonicMs() + 0.9
        } else refuse()
      },
      read(byteLength) {
        const bytes = host.clock.monotonicMs() < readyAtMs ? undefined : result?.()
        if (!bytes) return refuse()
        result = undefined
        return Uint8Array.from({ length: byteLength }, (_, at) => bytes[at] ?? 0xff)
      },
    },
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
    powerOn() {
      result = undefined
      readyAtMs = host.clock.monotonicMs() + 0.3
    },
  }
}
