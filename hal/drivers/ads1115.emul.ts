/**
 * Emulated ADS1115: the conversion register changes when a conversion ends, and the bit that started it reads 0 until then
 * (SBAS444, "Config Register", OS). Voltages are those between the inputs that the driver's channels mean.
 */
import type { Emulator } from '../contract/emulator.ts'
import { type Registers, registerPart, wordBytes } from './emulated-registers.ts'
import { Exposure } from './exposure.ts'

const powerOnConfiguration = 0x8583
const fullScale = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256]
const samplesPerS = [8, 16, 32, 64, 128, 250, 475, 860]

export const emulatedAds1115: Emulator = ({ host, options }) => {
  const differential = options['inputs'] === 'differential'
  const exposure = new Exposure(
    differential
      ? { voltage_0: 0.25, voltage_1: 0.5 }
      : { voltage_0: 0.5, voltage_1: 1, voltage_2: 1.5, voltage_3: 2 },
  )
  let configuration = powerOnConfiguration
  let thresholds = [0x8000, 0x7fff]
  let conversion = 0
  let readyAtMs: number | undefined

  /** Volts between the two inputs of a multiplexer code. */
  const between = (code: number): number => {
    if (differential)
      return code === 0 ? exposure.get('voltage_0') : code === 3 ? exposure.get('voltage_1') : 0
    const [plus, minus] = [
      [0, 1],
      [0, 3],
      [1, 3],
      [2, 3],
    ][code] ?? [code - 4, -1]
    return exposure.get(`voltage_${plus}`) - exposure.get(`voltage_${minus}`)
  }
  const settle = () => {
    if (readyAtMs === undefined || host.clock.monotonicMs() < readyAtMs) return
    const scale = fullScale[(configuration >> 9) & 7] ?? 2.048
    const steps = Math.round((between((configuration >> 12) & 7) / scale) * 32_768)
    conversion = Math.min(32_767, Math.max(-32_768, steps)) & 0xffff
    readyAtMs = undefined
  }
  const configure = (word: number) => {
    configuration = word & 0x7fff
    if ((word & 0x8000) !== 0 || (word & 0x0100) === 0)
      readyAtMs = host.clock.monotonicMs() + 1000 / (samplesPerS[(word >> 5) & 7] ?? 128)
  }
  const wordAt = (register: number): number => {
    if (register === 0) return conversion
    if (register === 1) return configuration | (readyAtMs === undefined ? 0x8000 : 0)
    return thresholds[register - 2] ?? 0
  }
  const powerOn = () => {
    configuration = powerOnConfiguration
    thresholds = [0x8000, 0x7fff]
    conversion = 0
    readyAtMs = undefined
  }
  const registers: Registers = {
    written(register, bytes) {
      settle()
      const word = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
      if ((register & 3) === 1) configure(word)
      else if ((register & 3) > 1) thresholds[(register & 3) - 2] = word
    },
    read(register, byteLength) {
      settle()
      return wordBytes(wordAt(register & 3), byteLength)
    },
  }
  return registerPart(exposure, registers, powerOn)
}
