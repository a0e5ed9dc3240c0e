/**
 * The blackboard of three devices in this process, over one broker: from a writing until another device shows it, and comparing and
 * setting from asking to answer. Beside them the least that the same broker can do: a retained message from one client to another.
 */
import { join } from 'node:path'
import type { MqttClient } from 'mqtt'
import { Board } from '../../runtime/agent/board/board.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { openSite, type SiteDevice } from '../fixtures/site.ts'
import { alternate } from './alternate.ts'
import type { Benchmark } from './benchmark.ts'
import { openPromptAedes } from './brokers.ts'
import { promptClient } from './prompt-client.ts'
import { quantile } from './quantiles.ts'

const seenMsMax = 10_000

export const agentsBoard: Benchmark = {
  name: 'agents.board',
  async run({ quick, signal, progress }) {
    await using stack = new AsyncDisposableStack()
    const broker = stack.use(await openPromptAedes())
    progress('three devices meet')
    const devices = await openSite(`mqtt://127.0.0.1:${broker.port}`, ['attic', 'bath', 'cellar'])
    for (const device of devices) stack.use(device)
    const boards: Board[] = []
    for (const device of devices) boards.push(stack.use(await boardOf(device, signal)))
    const [attic, bath] = boards as [Board, Board]
    const says = await promptClient(broker.port)
    stack.defer(() => says.endAsync(true))
    const hears = await promptClient(broker.port)
    stack.defer(() => hears.endAsync(true))
    await hears.subscribeAsync('bench/retained', { qos: 1 })
    await attic.set('turn', 0)
    const ms = await alternate(
      {
        seen: () => seenMs(attic, bath),
        compared: () => comparedMs(attic, signal),
        bare: () => bareMs(says, hears),
      },
      { rounds: quick ? 40 : 400, warmUps: 5 },
    )
    const against = 'a retained message of 300 bytes between two bare clients of the same broker, QoS 1'
    const place = 'the three devices share one process and one disk'
    const measured = (name: 'seen' | 'compared', limit: string) =>
      ([0.5, 0.95] as const).map((share) => ({
        name: `agents.board-${name}-p${share * 100}`,
        ...{ value: quantile(ms[name], share), baseline: quantile(ms.bare, share), unit: 'ms' },
        ...{ against, limit, note: place },
      }))
    return [
      ...measured('seen', 'one sync of the writer’s disk, a signature, and checking it'),
      ...measured(
        'compared',
        'two rounds to more than half of the devices, each with a sync of the disk there',
      ),
    ]
  },
}

async function boardOf({ link, identity, peers, stateDir }: SiteDevice, signal: AbortSignal): Promise<Board> {
  const onPeer = (listener: () => void) => peers.onNew(listener)
  const deps = { clock: realClock, log: silentLog, bus: link, signer: identity, onPeer }
  return await Board.open(deps, { path: join(stateDir, 'board.db') }, signal)
}

/** Grows with each writing: no value is written twice. */
let count = 0

async function seenMs(from: Board, to: Board): Promise<number> {
  count += 1
  const value = count
  const startMs = performance.now()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error(`not seen within ${seenMsMax} ms`)), seenMsMax)
  const stop = to.watch('demand', (fact) => {
    if (fact.value === value) resolve()
  })
  try {
    await from.set('demand', value)
    await promise
    return performance.now() - startMs
  } finally {
    clearTimeout(timer)
    stop()
  }
}

async function comparedMs(board: Board, signal: AbortSignal): Promise<number> {
  const { version = 0 } = board.get('turn') ?? {}
  count += 1
  const startMs = performance.now()
  await board.compareAndSet('turn', version, count, {}, signal)
  return performance.now() - startMs
}

async function bareMs(says: MqttClient, hears: MqttClient): Promise<number> {
  const startMs = performance.now()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error(`not heard within ${seenMsMax} ms`)), seenMsMax)
  hears.once('message', () => resolve())
  try {
    await says.publishAsync('bench/retained', 'x'.repeat(300), { qos: 1, retain: true })
    await promise
    return performance.now() - startMs
  } finally {
    clearTimeout(timer)
  }
}
