/**
 * Emulated SCD4x. While it measures it acknowledges only the commands that section 3.4 of its datasheet (version 1.3) allows
 * then; a read without a result is not acknowledged; reading a measurement empties it. The part is warmer than the air by as
 * much as the option says, and reports its own temperature less the offset that was written to it (section 3.6.1).
 */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'
import { crc8, sensirionCrc } from './crc.ts'
import { Exposure } from './exposure.ts'

const periodMs = 5000
const allowedWhileMeasuring: ReadonlySet<number> = new Set([0xec05, 0x3f86, 0xe4b8, 0xe000])
/** Commands that set a word. */
const settings: ReadonlySet<number> = new Set([0x241d, 0x2427, 0x2416, 0xe000])

/** 4 °C. */
const offsetAtPowerOn = 1498

const limited = (value: number): number => Math.round(Math.min(65_535, Math.max(0, value)))

export const emulatedScd4x: Emulator = ({ host, at, options }) => {
  const exposure = new Exposure({ co2: 620, temperature: 21.5, humidity: 45 })
  const serial = [0xf896, 0x9f07, 0x3b00 + Number((at.bus ?? '0').replace(/\D/g, ''))]
  let measuringSinceMs: number | undefined
  let readPeriods = 0
  let busyUntilMs = 0
  let answer: number[] | undefined
  let offset = offsetAtPowerOn

  const selfHeating = Number(options['temperatureOffset'] ?? 4)
  const refuse = (): never => {
    throw new HalError('no-acknowledge', 'SCD4x')
  }
  const nowMs = () => host.clock.monotonicMs()
  const periods = () =>
    measuringSinceMs === undefined ? 0 : Math.floor((nowMs() - measuringSinceMs) / periodMs)
  const measurement = () => [
    limited(exposure.get('co2')),
    limited(((exposure.get('temperature') + selfHeating + 45) * 65_535) / 175 - offset),
    limited(exposure.get('humidity') * 655.35),
  ]
  const read = (): number[] | undefined => {
    if (periods() === readPeriods) return undefined
    readPeriods = periods()
    return measurement()
  }
  const startMeasuring = () => {
    measuringSinceMs = nowMs()
    readPeriods = 0
  }
  const stopMeasuring = () => {
    measuringSinceMs = undefined
    readPeriods = 0
    busyUntilMs = nowMs() + 500
  }
  const obey = (command: number, argument: Uint8Array) => {
    if (settings.has(command)) {
      const fits = argument.length === 3 && crc8(argument.subarray(0, 2), sensirionCrc) === argument[2]
      if (!fits) refuse()
      if (command === 0x241d) offset = ((argument[0] ?? 0) << 8) | (argument[1] ?? 0)
    } else if (command === 0x21b1) startMeasuring()
    else if (command === 0x3f86) stopMeasuring()
    else if (command === 0xec05) answer = read()
    else if (command === 0xe4b8) answer = [periods() > readPeriods ? 0x8006 : 0x8000]
    else if (command === 0x3682) answer = serial
    else refuse()
  }
  return {
    i2c: {
      write(bytes) {
        const [high = 0, low = 0] = bytes
        const command = (high << 8) | low
        const measuring = measuringSinceMs !== undefined
        if (bytes.length < 2 || nowMs() < busyUntilMs) refuse()
        if (measuring && !allowedWhileMeasuring.has(command)) refuse()
        answer = undefined
        obey(command, bytes.subarray(2))
        busyUntilMs = Math.max(busyUntilMs, nowMs() + 0.9)
      },
      read(byteLength) {
        if (!answer || nowMs() < busyUntilMs) return refuse()
        const bytes = answer.flatMap((word) => {
          const pair = Uint8Array.of(word >> 8, word & 0xff)
          return [...pair, crc8(pair, sensirionCrc)]
        })
        answer = undefined
        return Uint8Array.from({ length: byteLength }, (_, index) => bytes[index] ?? 0xff)
      },
    },
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
    powerOn() {
      measuringSinceMs = undefined
      readPeriods = 0
      answer = undefined
      offset = offsetAtPowerOn
      busyUntilMs = nowMs() + 30
    },
  }
}
