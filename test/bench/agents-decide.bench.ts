/**
 * How long devices take to decide together: from the opening until every device knows how it ended. The devices are in this process, each
 * with its own connection to a broker in another; with a tenth of what each hears lost; with as many that say two things as may lie.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Decisions, type Opening } from '../../runtime/agent/decide/decisions.ts'
import type { Intent } from '../../runtime/agent/decide/process.ts'
import { seal, unseal } from '../../runtime/agent/together/envelope.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { Identity } from '../../runtime/base/identity.ts'
import { silentLog } from '../../runtime/base/log.ts'
import type { Bus } from '../../runtime/link/bus.ts'
import { decideBody, decideLimits, type OpenBody, type WordBody } from '../../runtime/wire/decide.ts'
import { openDevice, type SiteDevice, until } from '../fixtures/site.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { openOurs } from './brokers.ts'
import { median, quantile } from './quantiles.ts'

const kinds = ['auction', 'vote', 'agree', 'contract-net'] as const
type Kind = (typeof kinds)[number]
const trials = ['calm', 'loss', 'liars'] as const
type Trial = (typeof trials)[number]
const lossShare = 0.1
/** What is not heard is said again after this long, by ours (as devices do) and by the baseline. */
const againMs = 500
/**
 * How long a decision may take. It ends when all is said, but for a contract net whose winner takes the task and vanishes: that waits
 * for half of it. 64 devices on one busy core take long to say it all.
 */
const lastsMsOf = (size: number) => (size > 16 ? 120_000 : 20_000)
/** What is measured of sites of so many devices, in full. One decision of 64 is seconds of one core, which the smaller ones have warmed. */
const plans: readonly Plan[] = [
  { size: 4, rounds: 5, warmUps: 1, hard: kinds },
  { size: 16, rounds: 3, warmUps: 0, hard: kinds },
  { size: 64, rounds: 3, warmUps: 0, hard: kinds },
]
/** What loss and lies cost, and every kind, at one size. */
const quickPlans: readonly Plan[] = [
  { size: 4, rounds: 2, warmUps: 1, hard: kinds },
  { size: 16, rounds: 2, warmUps: 1, calm: ['auction'], hard: [] },
]
const said: Record<Trial, string> = {
  calm: 'nothing lost, nobody lies',
  loss: 'each device loses a tenth of what it hears',
  liars: 'as many as may lie say two different things',
}

interface Plan {
  readonly size: number
  /** Each beside one of the baseline. */
  readonly rounds: number
  /** And so many before them that do not count. */
  readonly warmUps: number
  /** Kinds that are measured with nothing in their way; absent: all. */
  readonly calm?: readonly Kind[]
  /** And with loss and lies. */
  readonly hard: readonly Kind[]
}

interface Took {
  readonly ms: number
  /** Of one device, on the average: all of them are in this process, their broker is not. */
  readonly cpuMs: number
}

export const agentsDecide: Benchmark = {
  name: 'agents.decide',
  async run({ quick, progress, signal }) {
    const results: Measurement[] = []
    for (const { size, rounds, warmUps, calm = kinds, hard } of quick ? quickPlans : plans) {
      progress(`${size} devices`)
      const names = Array.from({ length: size }, (_, n) => `d${String(n).padStart(2, '0')}`)
      // Each site its own: what devices of the last one published is kept by their broker.
      await using broker = await openOurs()
      const { devices, close } = await openKnown(`mqtt://127.0.0.1:${broker.port}`, names)
      try {
        await Promise.all(devices.map(listening))
        for (const trial of trials)
          for (const kind of trial === 'calm' ? calm : hard) {
            signal.throwIfAborted()
            results.push(...(await measured(devices, { kind, trial, rounds, warmUps })))
          }
      } finally {
        await close()
      }
    }
    return results
  },
}

/** Devices whose configuration names each other's keys: that they get to know each other is no part of what is measured. */
async function openKnown(url: string, names: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'decide-'))
  const stateDirs = names.map((name) => join(directory, name))
  const identities = names.map((name, n) => Identity.open(name, stateDirs[n] ?? ''))
  const keys = Object.fromEntries(identities.map(({ device, publicKey }) => [device, publicKey]))
  const devices = await Promise.all(names.map((name, n) => openDevice(url, name, keys, stateDirs[n])))
  const close = async () => {
    await Promise.all(devices.map((device) => device[Symbol.asyncDispose]()))
    rmSync(directory, { recursive: true, force: true })
  }
  return { devices, close }
}

/** Until the broker hands the device what is said of decisions: that it subscribes is no part of what is measured. */
async function listening({ link, name }: SiteDevice): Promise<void> {
  await until(`${name} is connected`, () => link.connected, 60_000)
  const { promise, resolve } = Promise.withResolvers<void>()
  const own = link.topics.decide('ready', name)
  link.subscribe(link.topics.decide('+', '+'), ({ topic }) => {
    if (topic === own) resolve()
    return undefined
  })
  await link.publish(own, '{}')
  await promise
}

async function measured(
  devices: readonly SiteDevice[],
  {
    kind,
    trial,
    rounds,
    warmUps,
  }: Pick<Plan, 'rounds' | 'warmUps'> & { readonly kind: Kind; readonly trial: Trial },
): Promise<Measurement[]> {
  const size = devices.length
  const faulty = trial === 'liars' ? Math.floor((size - 1) / 3) : 0
  const ways = {
    ours: () => decided(devices, kind, trial, faulty),
    poll: () => polled(devices, trial),
  }
  const took = await alternate<keyof typeof ways, Took>(ways, { rounds, warmUps })
  const ms = took.ours.map((one) => one.ms)
  const cpu = (way: readonly Took[]) => median(way.map(({ cpuMs }) => cpuMs))
  const against = 'one coordinator asks all over the same broker, believes what it hears and tells the result'
  const spends = `processor of one device a decision: ${cpu(took.ours).toFixed(1)} ms, baseline ${cpu(took.poll).toFixed(1)} ms`
  const time: Measurement = {
    ...{ name: `agents.decide-${kind}-${size}-${trial}`, unit: 'ms', against },
    ...{ value: median(ms), baseline: median(took.poll.map((one) => one.ms)) },
    limit:
      trial === 'loss'
        ? `what was lost is asked for after ${againMs} ms in which nothing new comes; the last of ${size} to hear each step needs that two or three times`
        : `one core of this machine, on which all ${size} devices check each other's signatures; ${size} boards do that at once`,
    note: `${said[trial]}${faulty > 0 ? ` (${faulty})` : ''}; p50 of ${rounds}, slowest ${quantile(ms, 1).toFixed(0)} ms; ${spends}`,
  }
  if (trial !== 'calm') return [time]
  const spent: Measurement = {
    ...{ name: `agents.decide-${kind}-${size}-cpu`, unit: 'ms', against },
    ...{ value: cpu(took.ours), baseline: cpu(took.poll) },
    limit: 'each device checks what every other signed, and takes it from the broker',
    note: `of one device a decision, without its broker, on this machine's core; p50 of ${rounds}`,
  }
  return [time, spent]
}

let decisionsMade = 0

async function decided(
  devices: readonly SiteDevice[],
  kind: Kind,
  trial: Trial,
  faulty: number,
): Promise<Took> {
  decisionsMade += 1
  const opening = openingOf(kind, `heat-pump-${decisionsMade}`, devices.length)
  const honest = devices.slice(0, devices.length - faulty)
  await using stack = new AsyncDisposableStack()
  for (const liar of devices.slice(honest.length)) stack.defer(lies(liar))
  const all: Promise<{ decided: boolean; reason: string }>[] = []
  const everybody = Promise.withResolvers<void>()
  const joins = (end: Promise<{ decided: boolean; reason: string }>) => {
    if (all.push(end) === honest.length) everybody.resolve()
  }
  const joined = honest.map((device, n) => {
    const intent = intentOf(kind, n)
    const decisions: Decisions = stack.use(
      new Decisions(
        {
          ...{ clock: realClock, log: silentLog, signer: device.identity, record: () => {} },
          bus: trial === 'loss' ? lossy(device.link) : device.link,
          contractor: { offer: async () => ({ cost: n, work: async () => 'done' }) },
          interested: () => {
            // An agent that waits for this subject joins as soon as its device has heard of it.
            queueMicrotask(() => joins(decisions.decide(opening, intent, forever)))
            return true
          },
        },
        { againMs },
      ),
    )
    return decisions
  })
  const [first] = joined
  if (!first) throw new Error('no device')
  const before = process.cpuUsage()
  const startMs = performance.now()
  joins(first.decide(opening, intentOf(kind, 0), forever))
  const late = setTimeout(
    () => everybody.reject(new Error(`${kind} of ${devices.length}: not all heard of it`)),
    lastsMsOf(devices.length),
  )
  await everybody.promise.finally(() => clearTimeout(late))
  const ends = await Promise.all(all)
  const ms = performance.now() - startMs
  const { user, system } = process.cpuUsage(before)
  const failed = ends.find((end) => !end.decided)
  if (failed) throw new Error(`${kind} of ${devices.length}, ${trial}: ${failed.reason}`)
  return { ms, cpuMs: (user + system) / 1_000 / devices.length }
}

const forever = new AbortController().signal
/** Of the message of an opening, as it is signed: who lies looks at nothing else, so that its own work is not measured. */
const opens = '\\"kind\\":\\"open\\"'

function openingOf(what: Kind, subject: string, size: number): Opening {
  const lastsMs = lastsMsOf(size)
  if (what === 'auction') return { what, subject, price: 'second', lastsMs }
  if (what === 'vote') return { what, subject, rule: 'majority', choices: ['eco', 'warm'], lastsMs }
  if (what === 'agree') return { what, subject, value: 21, faulty: Math.floor((size - 1) / 3), lastsMs }
  return { what, subject, task: 'warm the water', lastsMs }
}

function intentOf(kind: Kind, n: number): Intent {
  if (kind === 'auction') return { bid: n }
  if (kind === 'vote') return { choices: ['eco'] }
  return kind === 'agree' ? { value: 21 } : {}
}

/** A device that says two different things of every decision that it hears of. Ends with what it gives. */
function lies({ link, identity, name }: SiteDevice): () => void {
  return link.subscribe(link.topics.decide('+', '+'), ({ payload }) => {
    if (!Buffer.from(payload).includes(opens)) return undefined
    const heard = unseal(identity, 'decide', decideBody, payload, decideLimits.resultBytesMax)
    if (!heard.ok || heard.body.kind !== 'open' || !heard.body.members.includes(name)) return undefined
    for (const word of twoOf(heard.body))
      void link
        .publish(link.topics.decide(heard.body.id, name), seal(identity, 'decide', word))
        .catch(() => {})
    return undefined
  })
}

function twoOf({ id, what }: OpenBody): readonly WordBody[] {
  if (what === 'auction') return ['a', 'b'].map((digit) => ({ kind: 'commit', id, hash: digit.repeat(64) }))
  if (what === 'vote') return ['eco', 'warm'].map((choice) => ({ kind: 'ballot', id, choices: [choice] }))
  if (what === 'agree') return [1, 2].map((value) => ({ kind: 'echo', id, value }))
  return [0, 1].map((cost) => ({ kind: 'offer', id, cost }))
}

/** A link whose device does not hear a tenth of what it is sent. */
function lossy(link: SiteDevice['link']): Bus {
  return {
    topics: link.topics,
    get connected() {
      return link.connected
    },
    onChange: (listener) => link.onChange(listener),
    subscribe: (filter, taker) =>
      link.subscribe(filter, (message) => (Math.random() < lossShare ? undefined : taker(message))),
    publish: (topic, payload) => link.publish(topic, payload),
    setRetained: (topic, payload) => link.setRetained(topic, payload),
    clearRetained: (topic) => link.clearRetained(topic),
    forgetRetained: (topic) => link.forgetRetained(topic),
  }
}

/** The first device asks all, believes what it hears, and tells the result. Until all have it. */
async function polled(devices: readonly SiteDevice[], trial: Trial): Promise<Took> {
  decisionsMade += 1
  const id = `poll-${decisionsMade}`
  const buses = devices.map(({ link }) => (trial === 'loss' ? lossy(link) : link))
  const [bus] = buses
  const [coordinator] = devices
  if (!bus || !coordinator) throw new Error('no device')
  using stack = new DisposableStack()
  const answered = new Set([coordinator.name])
  const told = new Set([coordinator.name])
  const { promise, resolve } = Promise.withResolvers<void>()
  const topics = devices.map(({ name }) => bus.topics.decide(id, name))
  const say = (n: number, body: object) =>
    void devices[n]?.link.publish(topics[n] ?? '', JSON.stringify(body)).catch(() => {})
  const asks = () =>
    say(0, answered.size < devices.length ? { ask: 'bid' } : { winner: devices.at(-1)?.name })
  const hear = (n: number, topic: string, payload: Uint8Array): undefined => {
    const from = topics.indexOf(topic)
    if (from === -1 || from === n) return
    const message = JSON.parse(Buffer.from(payload).toString()) as {
      ask?: string
      winner?: string
      bid?: number
    }
    if (n > 0 && message.ask) say(n, { bid: n })
    if (n > 0 && message.winner && told.add(devices[n]?.name ?? '').size === devices.length) resolve()
    if (n > 0 || message.bid === undefined || answered.size === devices.length) return
    if (answered.add(devices[from]?.name ?? '').size === devices.length) asks()
  }
  for (const [n, one] of buses.entries())
    stack.defer(one.subscribe(one.topics.decide('+', '+'), ({ topic, payload }) => hear(n, topic, payload)))
  const before = process.cpuUsage()
  const startMs = performance.now()
  asks()
  const again = setInterval(asks, againMs)
  await promise.finally(() => clearInterval(again))
  const { user, system } = process.cpuUsage(before)
  return { ms: performance.now() - startMs, cpuMs: (user + system) / 1_000 / devices.length }
}
