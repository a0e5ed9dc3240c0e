/**
 * Weeks of a simulated home in virtual time, heated and cooled by the shipped comfort agents, three machines that auction one heat pump,
 * and by what most homes have: thermostats with one set point around the clock, and a heat pump for whoever asked first.
 */
import {
  ComfortHome,
  ComfortSite,
  type RoomName,
  rooms,
  type SiteStart,
} from '../fixtures/agent/comfort-site.ts'
import type { Benchmark, Measurement } from './benchmark.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
/** What is wanted while somebody is there; the same for both. */
const wanted = { lowC: 21, highC: 26 } as const

interface Case {
  readonly season: string
  readonly month: number
  readonly seed: number
}
const cases: readonly Case[] = [
  { season: 'winter', month: 0, seed: 1 },
  { season: 'winter', month: 1, seed: 2 },
  { season: 'spring', month: 3, seed: 3 },
  { season: 'summer', month: 6, seed: 4 },
]

interface Lived {
  cost: number
  kwh: number
  /** K·h below, and above, what is wanted while somebody is there. */
  cold: number
  hot: number
  starts: number
}

export const agentsComfort: Benchmark = {
  name: 'agents.comfort',
  async run({ quick, signal, progress }) {
    const days = quick ? 2 : 14
    const ours: Lived[] = []
    const plain: Lived[] = []
    const told: string[] = []
    for (const { season, month, seed } of quick ? cases.slice(0, 1) : cases) {
      signal.throwIfAborted()
      progress(`${season}, seed ${seed}: ${days} days`)
      const start = { startMs: Date.UTC(2026, month, 5), seed }
      const agents = await withAgents(start, days)
      const thermostats = withThermostats(start, days)
      ours.push(agents)
      plain.push(thermostats)
      told.push(`${season} ${seed}: ${words(agents)} against ${words(thermostats)}`)
    }
    const row = (what: string, unit: string, of: (lived: Lived) => number, more: string): Measurement => ({
      name: `agents.comfort-${what}`,
      unit,
      value: total(ours, of),
      baseline: total(plain, of),
      against:
        'a set point of 21 °C (26 in summer) around the clock, half a degree of play, the heat pump for whoever asked first',
      limit:
        'one heat pump for one room at a time; a household that is not quite regular; weather and prices are made up',
      note: more,
    })
    const scope = `${ours.length} times ${days} days from nothing learned, decisions and leases by their cores in one process`
    return [
      row('cost', 'EUR', ({ cost }) => cost, `${scope}; cost, energy, cold, hot, starts: ${told.join('; ')}`),
      row('energy', 'kWh', ({ kwh }) => kwh, scope),
      row(
        'discomfort',
        'K·h',
        ({ cold, hot }) => cold + hot,
        `${scope}; below 21 or above 26 °C while somebody is there`,
      ),
    ]
  },
}

const total = (all: readonly Lived[], of: (lived: Lived) => number) =>
  all.reduce((sum, one) => sum + of(one), 0)
const words = ({ cost, kwh, cold, hot, starts }: Lived) =>
  `${cost.toFixed(1)} EUR, ${kwh.toFixed(0)} kWh, ${cold.toFixed(1)} and ${hot.toFixed(1)} K·h, ${starts}`

async function withAgents(start: SiteStart, days: number): Promise<Lived> {
  using site = await ComfortSite.open(start)
  return live(site, days, () => {})
}

function withThermostats(start: SiteStart, days: number): Lived {
  const home = new ComfortHome(start)
  const thermostats = new Thermostats(home)
  const lived = live(home, days, () => thermostats.look())
  void home.heated[Symbol.asyncDispose]()
  return lived
}

/** Looks once a minute, at what is true. */
function live(home: ComfortHome, days: number, each: () => void): Lived {
  const lived = { cost: 0, kwh: 0, cold: 0, hot: 0, starts: 0 }
  for (let passedMs = 0; passedMs < days * dayMs; passedMs += minuteMs) {
    home.clock.advance(minuteMs)
    each()
    for (const room of rooms) {
      if (home.state(`binary_sensor.${room}_occupancy`) !== 'on') continue
      const tempC = home.heated.temperatureOf(room) ?? wanted.lowC
      lived.cold += Math.max(0, wanted.lowC - tempC) / 60
      lived.hot += Math.max(0, tempC - wanted.highC) / 60
    }
  }
  const { cost, pumpKwh, heaterKwh } = home.heated.usage
  return { ...lived, cost, kwh: pumpKwh + heaterKwh, starts: home.heated.compressor.starts }
}

/** A thermostat a room with half a degree of play, as the agents have; the pump is for whoever asked first, until it has enough. */
class Thermostats {
  readonly #home: ComfortHome
  readonly #asked: { readonly room: RoomName; readonly mode: 'heat' | 'cool' }[] = []
  #served = ''
  #commands = 0

  constructor(home: ComfortHome) {
    this.#home = home
  }

  look(): void {
    for (const room of rooms) {
      const tempC = Number(this.#home.state(`sensor.${room}_temperature`))
      const at = this.#asked.findIndex((asked) => asked.room === room)
      const mode = this.#asked[at]?.mode
      if ((mode === 'heat' && tempC >= wanted.lowC + 0.5) || (mode === 'cool' && tempC <= wanted.highC - 0.5))
        this.#asked.splice(at, 1)
      else if (mode === undefined && tempC < wanted.lowC) this.#asked.push({ room, mode: 'heat' })
      else if (mode === undefined && tempC > wanted.highC) this.#asked.push({ room, mode: 'cool' })
    }
    const [first] = this.#asked
    const serve = first ? `${first.room} ${first.mode}` : ''
    if (serve === this.#served) return
    this.#served = serve
    for (const room of this.#home.openValves)
      if (room !== first?.room) this.#command(`valve.${room}_heating`, { state: 'closed' })
    this.#command('climate.heat_pump', { hvac_mode: first?.mode ?? 'off' })
    if (first) this.#command(`valve.${first.room}_heating`, { state: 'open' })
  }

  #command(id: string, command: Readonly<Record<string, string>>): void {
    this.#commands += 1
    this.#home.command(id, command, `thermostat-${this.#commands}`)
  }
}
