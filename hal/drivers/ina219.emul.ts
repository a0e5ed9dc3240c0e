/**
 * Emulated INA219: converts when triggered or all the time, in the time that its averaging takes; current and power are
 * worked out from the registers in whole numbers, as the part does (SBOS448G, equations 4 and 5).
 */
import type { Emulator } from '../contract/emulator.ts'
import { type Registers, registerPart, wordBytes } from './emulated-registers.ts'
import { Exposure } from './exposure.ts'

const powerOnConfiguration = 0x399f
/** Microseconds of one conversion: 9 to 12 bits (table 5), above them averages of 12 bits. */
const conversionMs = (code: number): number =>
  code & 0x8 ? 0.532 * 2 ** (code & 0x7) : ([0.084, 0.148, 0.276, 0.532][code & 0x3] ?? 0.532)

export const emulatedIna219: Emulator = ({ host, options }) => {
  const exposure = new Exposure({ voltage: 12, current: 0.5 })
  const registers = new Int32Array(6)
  let readyAtMs: number | undefined

  const shuntOhm = () => Number(options['shuntOhm'] ?? 0.1)
  const start = () => {
    const mode = (registers[0] ?? 0) & 7
    const code = ((registers[0] ?? 0) >> 3) & 0xf
    registers[2] = (registers[2] ?? 0) & ~2
    readyAtMs = mode === 0 || mode === 4 ? undefined : host.clock.monotonicMs() + 2 * conversionMs(code)
  }
  const powerOn = () => {
    registers.fill(0)
    registers[0] = powerOnConfiguration
    start()
  }
  const convert = () => {
    const shuntLimit = 4000 * 2 ** (((registers[0] ?? 0) >> 11) & 3)
    const busLimit = (registers[0] ?? 0) & 0x2000 ? 8000 : 4000
    const shunt = Math.round((exposure.get('current') * shuntOhm()) / 10e-6)
    const bus = Math.min(busLimit, Math.max(0, Math.round(exposure.get('voltage') / 0.004)))
    registers[1] = Math.min(shuntLimit, Math.max(-shuntLimit, shunt))
    const current = Math.trunc(((registers[1] ?? 0) * (registers[5] ?? 0)) / 4096)
    const power = Math.trunc((Math.abs(current) * bus) / 5000)
    const overflow = Math.abs(current) > 32_767 || power > 65_535
    registers[4] = overflow ? 0 : current
    registers[3] = overflow ? 0 : power
    registers[2] = (bus << 3) | 2 | (overflow ? 1 : 0)
  }
  const settle = () => {
    if (readyAtMs === undefined || host.clock.monotonicMs() < readyAtMs) return
    convert()
    if (((registers[0] ?? 0) & 7) < 4) readyAtMs = undefined
  }
  const written = (register: number, bytes: Uint8Array) => {
    settle()
    const word = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
    if (register === 5) registers[5] = word & 0xfffe
    if (register !== 0) return
    if (word & 0x8000) return powerOn()
    registers[0] = word
    start()
  }
  powerOn()
  const access: Registers = {
    written,
    read(register, byteLength) {
      settle()
      const word = (registers[register] ?? 0) & 0xffff
      if (register === 3) registers[2] = (registers[2] ?? 0) & ~2
      return wordBytes(word, byteLength)
    },
  }
  return registerPart(exposure, access, powerOn)
}
