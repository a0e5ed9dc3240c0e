/** Leaks and lies in a simulated home, each with the leak guard, with "close when any sensor is wet", and with nobody. */
import { VirtualClock } from '../../runtime/base/clock.ts'
import { AgentHouse } from '../fixtures/agent/agent-house.ts'
import {
  leakSensor,
  mainValve,
  meter,
  Plumbing,
  type Room,
  rooms,
  wetHome,
} from '../fixtures/agent/plumbing.ts'

const second = 1_000
const minute = 60 * second
const lastsMs = 150 * minute

const leaks = ['burst', 'slow', 'unseen', 'none', 'none'] as const
const lies = [
  'none',
  'stuck-dry',
  'stuck-wet',
  'flapping',
  'silent',
  'meter-silent',
  'valve-lies',
  'spill',
  'meter-stuck',
  'long-use',
] as const
export type Guard = 'leak-guard' | 'any-wet' | 'nobody'

interface Trouble {
  readonly leak: (typeof leaks)[number]
  readonly lie: (typeof lies)[number]
  readonly room: Room
  /** Where the sensor is that lies. */
  readonly liar: Room
  readonly leakMs: number
  readonly draws: readonly { readonly atMs: number; readonly flow: number; readonly ms: number }[]
}

export interface Outcome {
  readonly hasLeak: boolean
  readonly litres: number
  /** How often it was closed although nothing leaked. A person opens it ten minutes later. */
  readonly closedFalsely: number
}

/** The same for each guard. */
export function troubles(count: number, seed: number): readonly Trouble[] {
  const random = new VirtualClock({ seed })
  const one = <T>(list: readonly T[]): T => list[Math.floor(random.random() * list.length)] as T
  return Array.from({ length: count }, (_, at) => {
    const leak = leaks[at % leaks.length] ?? 'none'
    // In fifty each leak meets each lie.
    const lie = lies[(at + Math.floor(at / lies.length)) % lies.length] ?? 'none'
    const room = one(rooms)
    // Showers, dishes, a bath: what people use in two hours. Once in a while somebody waters the garden from the tap.
    const draws = Array.from({ length: 5 }, (_none, nth) => ({
      atMs: (5 + nth * 28 + random.random() * 10) * minute,
      flow: 4 + random.random() * 8,
      ms: (1 + random.random() * 13) * minute,
    }))
    if (lie === 'long-use') draws.push({ atMs: 15 * minute, flow: 10, ms: 70 * minute })
    const liar = lie === 'stuck-dry' ? room : one(rooms)
    return { leak, lie, room, liar, leakMs: (20 + random.random() * 40) * minute, draws }
  })
}

export async function outcomeOf(guard: Guard, trouble: Trouble): Promise<Outcome> {
  await using house = await AgentHouse.open({ yaml: wetHome })
  const { clock, home } = house
  const { sim, registry, actuation, signal } = home
  const water = new Plumbing({ clock, sim })
  if (guard === 'leak-guard') await house.begin('leak-guard')
  if (guard === 'any-wet')
    registry.onReport(({ info, telemetry }) => {
      if (info.id.endsWith('_leak') && telemetry.state === 'on' && house.state(mainValve) === 'open')
        void actuation.run(
          { entity: mainValve, command: { state: 'closed' }, principal: 'automation' },
          signal,
        )
    })
  const { leak, lie, room, liar, leakMs, draws } = trouble
  for (const { atMs, flow, ms } of draws) clock.after(atMs, () => water.draw(flow, ms))
  lieIn(lie, house, liar)
  let leaks = false
  let closedFalsely = 0
  let isReopened = true
  registry.onReport(({ info }) => {
    if (info.id !== mainValve || leaks || water.isOpen || !isReopened) return
    closedFalsely += 1
    isReopened = false
    clock.after(10 * minute, () => {
      isReopened = true
      sim.set(mainValve, { state: 'open' })
    })
  })
  await house.passes(leakMs)
  leaks = leak !== 'none'
  if (leak !== 'none')
    water.breaks(leak === 'unseen' ? 'cellar' : room, leak === 'slow' ? 1 : leak === 'burst' ? 20 : 8)
  await house.passes(lastsMs - leakMs)
  return { hasLeak: leaks, litres: water.leakedLitres, closedFalsely }
}

/** From the tenth minute on, but for what lies all the time. */
function lieIn(lie: Trouble['lie'], { clock, home: { sim } }: AgentHouse, liar: Room): void {
  const sensor = leakSensor(liar)
  const at = (ms: number, work: () => void) => void clock.after(ms, work)
  if (lie === 'stuck-dry') sim.fault(sensor, { kind: 'lying', telemetry: { state: 'off' } })
  if (lie === 'stuck-wet')
    at(10 * minute, () => sim.fault(sensor, { kind: 'lying', telemetry: { state: 'on' } }))
  if (lie === 'silent') at(10 * minute, () => sim.fault(sensor, { kind: 'offline' }))
  // It stands still while it shows that water runs.
  if (lie === 'meter-stuck')
    at(10 * minute, () => sim.fault(meter, { kind: 'lying', telemetry: { state: '6' } }))
  if (lie === 'meter-silent') at(10 * minute, () => sim.fault(meter, { kind: 'offline' }))
  if (lie === 'flapping')
    for (let flap = 0; flap < 60; flap += 1)
      at(10 * minute + flap * 20 * second, () => sim.set(sensor, { state: flap % 2 ? 'off' : 'on' }))
  if (lie === 'spill') {
    at(12 * minute, () => sim.set(sensor, { state: 'on' }))
    at(17 * minute, () => sim.set(sensor, { state: 'off' }))
  }
  if (lie === 'valve-lies') {
    sim.fault(mainValve, { kind: 'lying' })
    // Somebody frees it.
    at(lastsMs - 70 * minute, () => sim.fault(mainValve, undefined))
  }
}
