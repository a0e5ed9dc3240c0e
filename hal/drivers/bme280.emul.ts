/**
 * Emulated BME280, from the registers down. What it converts to is found by trying: the code whose value by the *integer*
 * formulas (BST-BME280-DS001, section 4.2.3; 64 bits for pressure) is nearest to the truth.
 */
import type { Emulator } from '../contract/emulator.ts'
import { registerTarget } from './emulated-registers.ts'
import { Exposure } from './exposure.ts'

/** Those of the example in Bosch's BMP280 datasheet (BST-BMP280-DS001, section 3.12); humidity as on a part at hand. */
const t = [27_504n, 26_435n, -1000n] as const
const p = [36_477n, -10_685n, 3024n, 2855n, 140n, -7n, 15_500n, -14_600n, 6000n] as const
const h = [75n, 362n, 0n, 313n, 50n, 30n] as const

const fineOf = (adc: bigint): bigint => {
  const first = (((adc >> 3n) - (t[0] << 1n)) * t[1]) >> 11n
  const square = ((adc >> 4n) - t[0]) * ((adc >> 4n) - t[0])
  return first + (((square >> 12n) * t[2]) >> 14n)
}

const pascals = (adc: bigint, fine: bigint): number => {
  const warm = fine - 128_000n
  const offset = warm * warm * p[5] + ((warm * p[4]) << 17n) + (p[3] << 35n)
  const slope = (((1n << 47n) + ((warm * warm * p[2]) >> 8n) + ((warm * p[1]) << 12n)) * p[0]) >> 33n
  const raw = ((((1_048_576n - adc) << 31n) - offset) * 3125n) / slope
  const curved = (p[8] * (raw >> 13n) * (raw >> 13n)) >> 25n
  return Number(((raw + curved + ((p[7] * raw) >> 19n)) >> 8n) + (p[6] << 4n)) / 256
}

const humidity = (adc: bigint, fine: bigint): number => {
  const warm = fine - 76_800n
  const left = ((adc << 14n) - (h[3] << 20n) - h[4] * warm + 16_384n) >> 15n
  const gain = (((warm * h[5]) >> 10n) * (((warm * h[2]) >> 11n) + 32_768n)) >> 10n
  const linear = left * (((gain + 2_097_152n) * h[1] + 8192n) >> 14n)
  return Number((linear - (((((linear >> 15n) * (linear >> 15n)) >> 7n) * h[0]) >> 4n)) >> 12n) / 1024
}

/** The code of `bits` bits whose value is nearest to `truth`; values grow with the code, or fall. */
function codeFor(truth: number, bits: number, falls: boolean, convert: (adc: bigint) => number): number {
  let low = 0
  let high = 2 ** bits - 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const value = convert(BigInt(middle))
    if (falls ? value <= truth : value >= truth) high = middle
    else low = middle + 1
  }
  return low
}

function calibrationBytes(memory: Uint8Array): void {
  const view = new DataView(memory.buffer)
  for (const [at, value] of [...t, ...p].entries()) view.setInt16(0x88 + 2 * at, Number(value), true)
  memory[0xa1] = Number(h[0])
  view.setInt16(0xe1, Number(h[1]), true)
  memory[0xe3] = Number(h[2])
  memory[0xe4] = Number(h[3] >> 4n)
  memory[0xe5] = Number((h[3] & 0xfn) | ((h[4] & 0xfn) << 4n))
  memory[0xe6] = Number(h[4] >> 4n)
  memory[0xe7] = Number(h[5])
}

const times = (code: number): number => (code === 0 ? 0 : 2 ** Math.min(4, code - 1))

export const emulatedBme280: Emulator = ({ host }) => {
  const exposure = new Exposure({ temperature: 21.5, humidity: 45, pressure: 101_325 })
  const memory = new Uint8Array(256)
  let busyUntilMs = 0
  let copyingUntilMs = 0
  let pending = false

  const powerOn = () => {
    memory.fill(0)
    calibrationBytes(memory)
    memory[0xd0] = 0x60
    memory.set([0x80, 0, 0, 0x80, 0, 0, 0x80, 0], 0xf7)
    pending = false
    copyingUntilMs = host.clock.monotonicMs() + 1.5
  }
  const put20 = (at: number, code: number, oversampling: number) => {
    const bits = 16 + Math.log2(oversampling)
    const kept = (code >> (20 - bits)) << (20 - bits)
    memory.set([kept >> 12, (kept >> 4) & 0xff, (kept & 0x0f) << 4], at)
  }
  const convert = () => {
    const control = memory[0xf4] ?? 0
    const code = codeFor(exposure.get('temperature') * 5120, 20, false, (adc) => Number(fineOf(adc)))
    const fine = fineOf(BigInt(code))
    const [forT, forP, forH] = [times(control >> 5), times((control >> 2) & 7), times(memory[0xf2] ?? 0)]
    if (forT > 0) put20(0xfa, code, forT)
    if (forP > 0)
      put20(
        0xf7,
        codeFor(exposure.get('pressure'), 20, true, (adc) => pascals(adc, fine)),
        forP,
      )
    if (forH > 0) {
      const wet = codeFor(exposure.get('humidity'), 16, false, (adc) => humidity(adc, fine))
      memory.set([wet >> 8, wet & 0xff], 0xfd)
    }
    memory[0xf4] = control & 0xfc
  }
  const settle = () => {
    if (pending && host.clock.monotonicMs() >= busyUntilMs) {
      pending = false
      convert()
    }
  }
  const control = (value: number) => {
    memory[0xf4] = value
    if ((value & 3) !== 1 && (value & 3) !== 2) return
    const [forT, forP, forH] = [times(value >> 5), times((value >> 2) & 7), times(memory[0xf2] ?? 0)]
    const extra = (forP > 0 ? 0.5 : 0) + (forH > 0 ? 0.5 : 0)
    busyUntilMs = host.clock.monotonicMs() + 1 + 2 * (forT + forP + forH) + extra
    pending = true
  }
  /** Section 6.2.2: several writes are pairs of register and value. */
  const written = (register: number, bytes: Uint8Array) => {
    settle()
    const pairs = [register, ...bytes]
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const [to = 0, value = 0] = pairs.slice(at, at + 2)
      if (to === 0xe0 && value === 0xb6) powerOn()
      else if (to === 0xf2) memory[0xf2] = value & 0x07
      else if (to === 0xf4) control(value)
      else if (to === 0xf5) memory[0xf5] = value
    }
  }
  powerOn()
  return {
    i2c: registerTarget({
      written,
      read(register, byteLength) {
        settle()
        const nowMs = host.clock.monotonicMs()
        memory[0xf3] = (pending ? 0x08 : 0) | (nowMs < copyingUntilMs ? 0x01 : 0)
        return Uint8Array.from({ length: byteLength }, (_, at) => memory[(register + at) & 0xff] ?? 0)
      },
    }),
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
    powerOn,
  }
}
