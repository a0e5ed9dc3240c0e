/** A machine that nobody could buy: as many thermometers as wanted, four to an I2C bus, all emulated. */
import type { Board } from '../../hal/contract/board.ts'
import type { PartConfig } from '../../hal/contract/hardware-config.ts'

const addresses = [0x48, 0x49, 0x4a, 0x4b]

export function sensorBoard(sensors: number): {
  readonly board: Board
  readonly parts: readonly PartConfig[]
} {
  const buses = Array.from({ length: Math.ceil(sensors / addresses.length) }, (_, n) => `i2c-${n}`)
  const parts = Array.from({ length: sensors }, (_, n): PartConfig => {
    const bus = buses[Math.floor(n / addresses.length)] ?? ''
    const address = addresses[n % addresses.length] ?? 0
    return { driver: 'tmp102', id: `s${n}`, bus, address, sampleEveryMs: 1_000 }
  })
  const board: Board = {
    id: 'sim-raspberrypi-5',
    name: 'Board with many buses (simulated)',
    arch: 'any',
    compatible: [],
    memoryBudgetMb: { runtime: 192, engine: 768 },
    headers: [],
    buses: buses.map((id) => ({ id, kind: 'i2c', pins: [] })),
    pwm: [],
    thermal: [],
    power: [],
    accelerators: [],
    sources: ['made for this measurement'],
  }
  return { board, parts }
}
