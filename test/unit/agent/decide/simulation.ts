/** Devices that decide over a simulated network: every device runs its process, honest ones say again what may have been lost. */
import { createHash } from 'node:crypto'
import { Agree } from '../../../../runtime/agent/decide/agree.ts'
import { ContractNet } from '../../../../runtime/agent/decide/contract-net.ts'
import { Auction, Vote } from '../../../../runtime/agent/decide/counted.ts'
import type { Process, Setting } from '../../../../runtime/agent/decide/process.ts'
import type { Word } from '../../../../runtime/agent/decide/words.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import type { OpenBody, ResultBody, WordBody } from '../../../../runtime/wire/decide.ts'
import { SimulatedNetwork, type Weather } from '../together/network.ts'

type Body = WordBody | ResultBody
export const calm: Weather = { loss: 0, twice: 0, delayMsMax: 20 }
export const storm: Weather = { loss: 0.1, twice: 0.1, delayMsMax: 300 }

export function names(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `d${String(n).padStart(2, '0')}`)
}

export interface World {
  readonly clock: VirtualClock
  readonly network: SimulatedNetwork<Body>
  readonly processes: Map<string, Process>
  /** Whoever is in `liars` runs nothing: the test speaks for it. */
  run(ms: number): void
  /** Says something as a device, to one or to all. */
  say(from: string, body: Body, to?: string): void
}

const envelopeOf = (from: string, body: Body) => JSON.stringify({ from, body })

export function simulate(
  open: OpenBody,
  options: {
    readonly seed?: number
    readonly weather?: Weather
    readonly liars?: readonly string[]
    readonly onAward?: (device: string, round: number) => void
  } = {},
): World {
  const { seed = 1, weather = calm, liars = [], onAward = () => {} } = options
  const clock = new VirtualClock({ seed })
  const network = new SimulatedNetwork<Body>(clock, weather)
  const processes = new Map<string, Process>()
  const opener = open.members[0] ?? ''
  const sent = new Map<string, number>()
  const say = (from: string, body: Body, to?: string) =>
    to === undefined ? network.say(from, body) : network.tell(from, to, body)
  for (const self of open.members) {
    network.join(self, (from, body) =>
      processes.get(self)?.hear(from, body, envelopeOf(from, body), clock.monotonicMs()),
    )
    if (liars.includes(self)) continue
    const setting: Setting<never> = {
      ...{ self, opener, open: open as never, startMs: clock.monotonicMs() },
      nonce: () => createHash('sha256').update(`${seed}${self}`).digest('hex'),
      read: (envelope) => JSON.parse(envelope) as Word,
    }
    processes.set(
      self,
      processOf(open, setting, (round) => onAward(self, round)),
    )
  }
  /** New words go out, and this device hears its own. */
  const flush = (self: string, process: Process) => {
    for (let at = sent.get(self) ?? 0; at < process.statements.length; at += 1) {
      const body = process.statements[at] as Body
      sent.set(self, at + 1)
      say(self, body)
      process.hear(self, body, envelopeOf(self, body), clock.monotonicMs())
    }
  }
  const step = () => {
    for (const [self, process] of processes) {
      process.tick(clock.monotonicMs())
      flush(self, process)
    }
  }
  const again = () => {
    for (const [self, process] of processes) for (const body of process.statements) say(self, body)
  }
  const run = (ms: number) => {
    for (let at = 0; at < ms; at += 10) {
      step()
      if (clock.monotonicMs() % 200 === 0) again()
      clock.advance(10)
    }
    step()
  }
  return { clock, network, processes, run, say }
}

function processOf(open: OpenBody, setting: Setting<never>, onAward: (round: number) => void): Process {
  if (open.what === 'auction') return new Auction(setting)
  if (open.what === 'vote') return new Vote(setting)
  if (open.what === 'agree') return new Agree(setting)
  return new ContractNet(setting, onAward)
}

/** How it ended at each device, without what they say of it. */
export function endings({ processes }: World): string[] {
  return [...processes.values()].map(({ outcome }) =>
    outcome?.decided ? JSON.stringify([outcome.value, outcome.winner, outcome.price]) : 'undecided',
  )
}
