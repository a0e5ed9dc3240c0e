/**
 * Emulated MPU-6050: asleep after power-on, with measurements that stay zero until it is woken; the gyroscope needs 30 ms
 * more (PS-MPU-6000A-00, section 6.1). Scales are those of table rows "sensitivity" in PS-MPU-6000A-00, sections 6.1, 6.2.
 */
import type { Emulator } from '../contract/emulator.ts'
import { type Registers, registerPart } from './emulated-registers.ts'
import { Exposure } from './exposure.ts'

const stepsPerG = [16_384, 8192, 4096, 2048]
const stepsPerDegreePerS = [131, 65.5, 32.8, 16.4]

export const emulatedMpu6050: Emulator = ({ host }) => {
  const exposure = new Exposure({
    acceleration_x: 0,
    acceleration_y: 0,
    acceleration_z: 9.80665,
    angular_velocity_x: 0,
    angular_velocity_y: 0,
    angular_velocity_z: 0,
    temperature: 28,
  })
  const memory = new Uint8Array(128)
  const view = new DataView(memory.buffer)
  let wokenAtMs = 0
  let resettingUntilMs = 0

  const powerOn = () => {
    memory.fill(0)
    memory[0x6b] = 0x40
    memory[0x75] = 0x68
  }
  const put = (at: number, steps: number) =>
    view.setInt16(at, Math.min(32_767, Math.max(-32_768, Math.round(steps))))
  const measure = () => {
    if ((memory[0x6b] ?? 0) & 0x40) return
    const accelerometer = stepsPerG[((memory[0x1c] ?? 0) >> 3) & 3] ?? 0
    const gyroscope = stepsPerDegreePerS[((memory[0x1b] ?? 0) >> 3) & 3] ?? 0
    const spinning = host.clock.monotonicMs() - wokenAtMs >= 30
    for (const [at, name] of ['x', 'y', 'z'].entries()) {
      put(0x3b + 2 * at, (exposure.get(`acceleration_${name}`) / 9.80665) * accelerometer)
      const degreesPerS = (exposure.get(`angular_velocity_${name}`) * 180) / Math.PI
      put(0x43 + 2 * at, spinning ? degreesPerS * gyroscope : 0)
    }
    put(0x41, (exposure.get('temperature') - 36.53) * 340)
  }
  const setPower = (value: number) => {
    if (value & 0x80) {
      powerOn()
      resettingUntilMs = host.clock.monotonicMs() + 50
    } else {
      if ((memory[0x6b] ?? 0) & 0x40 && !(value & 0x40)) wokenAtMs = host.clock.monotonicMs()
      memory[0x6b] = value
    }
  }
  const written = (register: number, bytes: Uint8Array) => {
    if (host.clock.monotonicMs() < resettingUntilMs) return
    for (const [index, value] of bytes.entries()) {
      const at = register + index
      if (at === 0x6b) setPower(value)
      else if (at >= 0x19 && at <= 0x1c)
        memory[at] = at === 0x1a ? value & 0x3f : at > 0x1a ? value & 0xf8 : value
    }
  }
  powerOn()
  const registers: Registers = {
    written,
    read(register, byteLength) {
      measure()
      return Uint8Array.from({ length: byteLength }, (_, at) => memory[(register + at) & 0x7f] ?? 0)
    },
  }
  return registerPart(exposure, registers, () => {
    powerOn()
    resettingUntilMs = 0
  })
}
