/**
 * A command's way: HTTP to the gateway, broker, device, and with the proof back again; the lamp's own time is taken out. Beside it
 * the least that MQTT can do: one message to another process and one back, through aedes alone.
 */
import type { MqttClient } from 'mqtt'
import { alternate } from './alternate.ts'
import type { Benchmark } from './benchmark.ts'
import { openPromptAedes } from './brokers.ts'
import { ensureBundle } from './bundle.ts'
import { BundledHome } from './bundled-home.ts'
import { promptClient } from './prompt-client.ts'
import { median, quantile } from './quantiles.ts'
import { Worker } from './worker.ts'

const entity = 'light.living_room_lamp'
const answerMsMax = 10_000

interface Trip {
  readonly totalMs: number
  /** Of it, until the simulated lamp showed the effect, as the device measured it. */
  readonly lampMs: number
}

export const roundTrip: Benchmark = {
  name: 'gateway.command-round-trip',
  async run({ quick, signal, progress }) {
    progress('building the bundle where it is stale')
    ensureBundle()
    const nodes = { gatewayNode: process.execPath, deviceNode: process.execPath }
    await using home = await BundledHome.open(nodes, ['--no-voice'], signal)
    await using broker = await openPromptAedes()
    await using _echo = await Worker.open(new URL('programs/echo.ts', import.meta.url), [String(broker.port)])
    const client = await promptClient(broker.port)
    await client.subscribeAsync('bench/answer', { qos: 1 })
    let turn = 0
    const command = () => {
      turn += 1
      return commandMs(home.http, turn % 2 === 0 ? 'off' : 'on', signal)
    }
    try {
      const ms = await alternate(
        { command, bare: () => bareMs(client) },
        { rounds: quick ? 30 : 300, warmUps: 10 },
      )
      return [
        {
          name: 'gateway.command-round-trip',
          value: median(ms.command.map(wayMs)),
          unit: 'ms',
          baseline: median(ms.bare.map(wayMs)),
          against:
            'one MQTT message to another process and one back, QoS 1, two bare clients and plain aedes, no Nagle delays',
          limit:
            'hops between processes: HTTP, broker to device, broker to gateway, each with JSON or CBOR and a check',
          note: `from POST to "done", without the ${p50(ms.command, (trip) => trip.lampMs)} ms that the simulated lamp takes; with them ${p50(ms.command, (trip) => trip.totalMs)} ms; p95 ${quantile(ms.command.map(wayMs), 0.95).toFixed(1)} ms, bare ${quantile(ms.bare.map(wayMs), 0.95).toFixed(1)} ms`,
        },
      ]
    } finally {
      await client.endAsync(true)
    }
  },
}

/** What the way costs, without what happens at its end. */
const wayMs = ({ totalMs, lampMs }: Trip) => totalMs - lampMs
const p50 = (trips: readonly Trip[], part: (trip: Trip) => number) => median(trips.map(part)).toFixed(1)

async function commandMs(http: string, state: 'on' | 'off', signal: AbortSignal): Promise<Trip> {
  const startMs = performance.now()
  const response = await fetch(`${http}/api/entities/${entity}/command`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ command: { state } }),
    signal,
  })
  const report = (await response.json()) as { outcome?: string; latencyMs?: number }
  const totalMs = performance.now() - startMs
  if (report.outcome !== 'done' || report.latencyMs === undefined)
    throw new Error(`the command was not done: ${JSON.stringify(report)}`)
  return { totalMs, lampMs: report.latencyMs }
}

async function bareMs(client: MqttClient): Promise<Trip> {
  const startMs = performance.now()
  const answered = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no echo within ${answerMsMax} ms`)), answerMsMax)
    client.once('message', () => {
      clearTimeout(timer)
      resolve()
    })
  })
  client.publish('bench/question', 'on', { qos: 1 })
  await answered
  return { totalMs: performance.now() - startMs, lampMs: 0 }
}
