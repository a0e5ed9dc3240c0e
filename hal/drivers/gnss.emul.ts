/** A GNSS receiver of several constellations: RMC, VTG and GGA every second, as a talker GN sends them. `fix` 0 takes its view of the sky away. */
import type { Emulator } from '../contract/emulator.ts'
import { Exposure } from './exposure.ts'
import { sendsEvery } from './sends-every.ts'

const everyMs = 1000
const knots = (mPerS: number) => (mPerS * 3600) / 1852

export const emulatedGnss: Emulator = ({ host }) => {
  const exposure = new Exposure({
    latitude: 48.1173,
    longitude: 11.5167,
    altitude: 545.4,
    speed: 1.5,
    course: 84.4,
    satellites: 8,
    fix: 1,
  })
  const sentence = (body: string): Uint8Array => {
    const sum = [...Buffer.from(body, 'ascii')].reduce((xor, byte) => xor ^ byte, 0)
    return Buffer.from(`$${body}*${sum.toString(16).toUpperCase().padStart(2, '0')}\r\n`, 'ascii')
  }
  /** Degrees and minutes as the standard writes them, with the hemisphere. */
  const degreesMinutes = (
    degrees: number,
    digits: number,
    [positive, negative]: readonly [string, string],
  ) => {
    const millionths = Math.round(Math.abs(degrees) * 60e6)
    const whole = String(Math.floor(millionths / 60e6)).padStart(digits, '0')
    const minutes = ((millionths % 60e6) / 1e6).toFixed(6).padStart(9, '0')
    return `${whole}${minutes},${degrees < 0 ? negative : positive}`
  }
  const sentences = (): string[] => {
    const at = new Date(host.clock.nowMs()).toISOString()
    const time = `${at.slice(11, 13)}${at.slice(14, 16)}${at.slice(17, 19)}.00`
    const date = `${at.slice(8, 10)}${at.slice(5, 7)}${at.slice(2, 4)}`
    const satellites = String(Math.round(exposure.get('satellites'))).padStart(2, '0')
    if (exposure.get('fix') === 0)
      return [`GNRMC,${time},V,,,,,,,${date},,,N`, 'GNVTG,,,,,,,,,N', `GNGGA,${time},,,,,0,00,99.99,,,,,,`]
    const place = [
      degreesMinutes(exposure.get('latitude'), 2, ['N', 'S']),
      degreesMinutes(exposure.get('longitude'), 3, ['E', 'W']),
    ].join(',')
    const speed = exposure.get('speed')
    const course = exposure.get('course').toFixed(1)
    return [
      `GNRMC,${time},A,${place},${knots(speed).toFixed(2)},${course},${date},,,A`,
      `GNVTG,${course},T,,M,${knots(speed).toFixed(2)},N,${(speed * 3.6).toFixed(2)},K,A`,
      `GNGGA,${time},${place},1,${satellites},0.9,${exposure.get('altitude').toFixed(1)},M,46.9,M,,`,
    ]
  }
  return {
    serial: sendsEvery(host.clock, everyMs, () => sentences().map(sentence)),
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
  }
}
