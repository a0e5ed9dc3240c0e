/**
 * The simulated Raspberry Pi 5: budgets, header and buses of the real one, on emulated chips; hardware of a home file. Opened
 * when a home is given. Nothing of it can be enabled in a config.txt, throttled or watched.
 */
import type { Board } from '../hal/contract/board.ts'
import { numberedLines, raspberryPiHeader } from './families/raspberrypi-header.ts'
import { rp1Buses, rp1Chip, rp1Functions, rp1Pwm } from './families/raspberrypi-rp1.ts'

export const simRaspberryPi5: Board = {
  id: 'sim-raspberrypi-5',
  name: 'Raspberry Pi 5 (simulated)',
  arch: 'any',
  compatible: [],
  memoryBudgetMb: { runtime: 192, engine: 768 },
  headers: [raspberryPiHeader(rp1Chip, numberedLines, rp1Functions)],
  buses: rp1Buses.map(({ id, kind, pins }) => ({ id, kind, pins })),
  pwm: rp1Pwm.map(({ pin, device, channel }) => ({ pin, device, channel })),
  thermal: [],
  power: [],
  accelerators: [],
  sources: ['boards/raspberrypi-5.board.ts for the budgets, the header and the buses'],
}
