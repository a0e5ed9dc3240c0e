/**
 * Emulated TMP102, TMP105 and LM75. The temperature register is 0 °C until the first conversion ends (SBOS397H, section
 * 7.5.2); a shut-down part converts only when the one-shot bit is set. Registers wrap within two bytes, as on the parts.
 */
import type { Emulator } from '../contract/emulator.ts'
import { type Registers, registerPart } from './emulated-registers.ts'
import { Exposure } from './exposure.ts'

interface Build {
  readonly powerOnConfiguration: readonly number[]
  /** Bits of the configuration that can be written. */
  readonly writable: readonly number[]
  readonly conversionMs: number
  readonly oneShot: boolean
  /** Bits of a conversion, as configured. */
  bits(configuration: readonly number[], options: Readonly<Record<string, unknown>>): number
}

const tmp102Build: Build = {
  powerOnConfiguration: [0x60, 0xa0],
  writable: [0x1f, 0xc0],
  conversionMs: 26,
  oneShot: true,
  bits: () => 12,
}
const tmp105Build: Build = {
  powerOnConfiguration: [0x00],
  writable: [0x7f],
  conversionMs: 220,
  oneShot: true,
  bits: (configuration) => 9 + (((configuration[0] ?? 0) >> 5) & 3),
}
const lm75Build: Build = {
  powerOnConfiguration: [0x00],
  writable: [0x1f],
  conversionMs: 100,
  oneShot: false,
  bits: (_, options) => (options['bits'] === '11' ? 11 : 9),
}

/** 75 °C and 80 °C: registers 2 and 3. */
const powerOnLimits = (): number[][] => [
  [0x4b, 0x00],
  [0x50, 0x00],
]

function emulator(build: Build): Emulator {
  return ({ host, options }) => {
    const exposure = new Exposure({ temperature: 21.5 })
    let configuration = [...build.powerOnConfiguration]
    let limits = powerOnLimits()
    let converted = 0
    let readyAtMs: number | undefined = host.clock.monotonicMs() + build.conversionMs

    const shutDown = () => ((configuration[0] ?? 0) & 1) === 1
    const convert = () => {
      const step = 2 ** (8 - build.bits(configuration, options))
      const steps = Math.round(Math.min(150, Math.max(-128, exposure.get('temperature'))) / step)
      converted = (steps * step * 256) & 0xffff
    }
    const settle = () => {
      if (readyAtMs === undefined || host.clock.monotonicMs() < readyAtMs) return
      convert()
      if (shutDown()) readyAtMs = undefined
    }
    const configure = (bytes: Uint8Array) => {
      settle()
      const before = shutDown()
      configuration = configuration.map((old, at) => {
        const mask = build.writable[at] ?? 0
        return (old & ~mask) | ((bytes[at] ?? old) & mask)
      })
      const startsNow = before && (!shutDown() || (build.oneShot && ((bytes[0] ?? 0) & 0x80) !== 0))
      if (startsNow) readyAtMs = host.clock.monotonicMs() + build.conversionMs
    }
    const bytesOf = (register: number): readonly number[] => {
      settle()
      if (register === 0) return [converted >> 8, converted & 0xff]
      if (register === 1) return configuration
      return limits[register - 2] ?? []
    }
    const registers: Registers = {
      written(register, bytes) {
        const which = register & 3
        if (which === 1) configure(bytes)
        else if (which > 1) limits[which - 2] = [bytes[0] ?? 0, bytes[1] ?? 0]
      },
      read(register, byteLength) {
        const bytes = bytesOf(register & 3)
        return Uint8Array.from({ length: byteLength }, (_, at) => bytes[at % bytes.length] ?? 0)
      },
    }
    return registerPart(exposure, registers, () => {
      configuration = [...build.powerOnConfiguration]
      limits = powerOnLimits()
      converted = 0
      readyAtMs = host.clock.monotonicMs() + build.conversionMs
    })
  }
}

export const emulatedTmp102 = emulator(tmp102Build)
export const emulatedTmp105 = emulator(tmp105Build)
export const emulatedLm75 = emulator(lm75Build)
