/**
 * A command of an agent to a thing of its own device and to one of another device: what the way costs, without the time of the lamp
 * itself. Beside it the least that MQTT can do: one message there and one back.
 */
import type { MqttClient } from 'mqtt'
import { type House, openHouse } from '../fixtures/remote-site.ts'
import { until } from '../fixtures/site.ts'
import { alternate } from './alternate.ts'
import type { Benchmark } from './benchmark.ts'
import { openPromptAedes } from './brokers.ts'
import { promptClient } from './prompt-client.ts'
import { quantile } from './quantiles.ts'

const home = (area: string) => `
areas: [{ id: ${area}, name: ${area} }]
entities:
  - { id: light.${area}, name: Light, area: ${area}, state: 'off' }
`

export const agentsRemote: Benchmark = {
  name: 'agents.remote-command',
  async run({ quick, progress }) {
    await using broker = await openPromptAedes()
    const url = `mqtt://127.0.0.1:${broker.port}`
    progress('two devices that believe each other')
    await using attic = await openHouse(url, 'attic', home('attic'))
    await using hub = await openHouse(url, 'hub', home('hub'))
    await until('they believe each other', () =>
      [attic, hub].every(({ device }) => device.peers.known.length === 2),
    )
    const client = await promptClient(broker.port)
    await client.subscribeAsync('bench/there', { qos: 1 })
    await client.subscribeAsync('bench/back', { qos: 1 })
    client.on('message', (topic) => {
      if (topic === 'bench/there') client.publish('bench/back', 'x', { qos: 1 })
    })
    try {
      const own = commander(attic, 'light.attic')
      const other = commander(attic, 'light.hub@hub')
      const ms = await alternate(
        { own, other, bare: () => bareMs(client) },
        { rounds: quick ? 15 : 200, warmUps: 3 },
      )
      const at = (share: number) => ({
        ...{ own: quantile(ms.own, share), other: quantile(ms.other, share), bare: quantile(ms.bare, share) },
      })
      const [half, most] = [at(0.5), at(0.95)]
      const note = `without the time of the simulated lamp; both devices in one process, the broker in another; own thing p50 ${half.own.toFixed(2)} ms, p95 ${most.own.toFixed(2)}`
      const shared = {
        ...{ unit: 'ms', note },
        against: 'one MQTT message there and one back, QoS 1, one bare client and plain aedes as here',
        limit: 'a signature and its check each way, JSON in JSON, one message each way through the broker',
      }
      return [
        { ...shared, name: 'agents.remote-command-p50', value: half.other, baseline: half.bare },
        { ...shared, name: 'agents.remote-command-p95', value: most.other, baseline: most.bare },
      ]
    } finally {
      await client.endAsync(true)
    }
  },
}

/** Switches a lamp on and off in turn; gives what the way took. */
function commander({ services }: House, entity: string): () => Promise<number> {
  const service = services.find(({ ops }) => ops.includes('command'))
  if (!service) throw new Error('nothing commands')
  const forever = new AbortController().signal
  let turn = 0
  return async () => {
    turn += 1
    const args = { entity, command: { state: turn % 2 === 1 ? 'on' : 'off' } }
    const call = { id: turn, op: 'command', args } as const
    const performing = {
      caller: { agent: 'bench', token: 1 },
      call,
      resumed: false,
      askedMs: Date.now(),
      emit: () => true,
    }
    const startMs = performance.now()
    const outcome = await service.perform(performing, forever)
    const tookMs = performance.now() - startMs
    if (!outcome.ok) throw new Error(outcome.error.message)
    return Math.max(0, tookMs - Number((outcome.value as { ms?: number }).ms))
  }
}

function bareMs(client: MqttClient): Promise<number> {
  const startMs = performance.now()
  return new Promise((resolve, reject) => {
    const heard = (topic: string) => {
      if (topic !== 'bench/back') return
      client.off('message', heard)
      resolve(performance.now() - startMs)
    }
    client.on('message', heard)
    client.publish('bench/there', 'x', { qos: 1 }, (error) => error && reject(error))
  })
}
