/** `GET /metrics` over real sockets with scripted devices; the number is that of gateway/api/README.md. */
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import type { StatusResult } from '../../runtime/wire/messages.ts'
import { until } from './broker-raw.ts'
import { ask, openGateway, ScriptedDevice } from './gateway-device.ts'

let gateway: Gateway
let device: ScriptedDevice
const open: AsyncDisposable[] = []
const token = 'a-token-of-this-gateway'

beforeEach(async () => {
  gateway = await openGateway({ env: { GANGLION_GATEWAY_TOKEN: token }, deadlines: { statusMs: 2_000 } })
  device = await onlineDevice('dev-1', statusOf())
})
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

const headers = { authorization: `Bearer ${token}` }
const metrics = () => ask(`${gateway.httpUrl}/metrics`, { headers })

const agentOf = (name: string) => ({
  ...{ name, state: 'running' as const, turns: 12, memoryBytes: 700_000 },
  used: { cpuMs: 1_500, engineMs: 250, tokens: 40, bytes: 9_000, joules: 2.5, money: 0.01 },
})

const statusOf = (changes: Partial<StatusResult> = {}): StatusResult => ({
  device: {
    ...{ id: 'dev-1', board: 'b', recognisedBy: 'r', simulated: true, version: '1', uptimeMs: 61_000 },
  },
  processes: [
    { name: 'runtime', pid: 7, pssMb: 87.4, state: 'running' },
    { name: 'engine', pid: 0, state: 'idle' },
  ],
  ...{ models: [], problems: ['one thing'] },
  link: { connected: true, broker: 'mqtt://b', outboxEvents: 3, outboxBytes: 100, outboxDropped: 2 },
  ...changes,
})

async function onlineDevice(id: string, result: unknown): Promise<ScriptedDevice> {
  const one = await ScriptedDevice.open(gateway.mqttUrl, id)
  open.push(one)
  one.answer = ({ method }) => (method === 'status' ? { result } : undefined)
  await one.online()
  await until(`${id} is online`, async () => {
    const { body } = await ask(`${gateway.httpUrl}/api/devices`, { headers })
    return body.devices.some(
      (known: { id: string; availability: string }) => known.id === id && known.availability === 'online',
    )
  })
  return one
}

describe('metrics [api-15]', () => {
  it('tell what each agent has used, in the base units of Prometheus', async () => {
    const fared = { granted: 7, refused: 2, waitedMs: 1_500, longestMs: 900 }
    const resources = [{ name: 'engine', capacity: 8, used: 3, waiting: 1, fared }]
    device.answer = () => ({
      result: statusOf({ agents: { list: [agentOf('comfort')], more: 2, resources } }),
    })
    const { status, body, headers: sent } = await metrics()
    expect(status).toBe(200)
    expect(sent.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(sent.get('cache-control')).toBe('no-store')
    const of = '{device="dev-1",agent="comfort"}'
    for (const line of [
      '# TYPE ganglion_agent_cpu_seconds_total counter',
      `ganglion_agent_cpu_seconds_total${of} 1.5`,
      `ganglion_agent_engine_seconds_total${of} 0.25`,
      `ganglion_agent_tokens_total${of} 40`,
      `ganglion_agent_network_bytes_total${of} 9000`,
      `ganglion_agent_energy_joules_total${of} 2.5`,
      `ganglion_agent_cost_total${of} 0.01`,
      `ganglion_agent_memory_bytes${of} 700000`,
      `ganglion_agent_turns_total${of} 12`,
      `ganglion_agent_running${of} 1`,
      'ganglion_agents_left_out 2',
      'ganglion_schedule_capacity{device="dev-1",resource="engine"} 8',
      'ganglion_schedule_used{device="dev-1",resource="engine"} 3',
      'ganglion_schedule_waiting{device="dev-1",resource="engine"} 1',
      'ganglion_schedule_granted_total{device="dev-1",resource="engine"} 7',
      'ganglion_schedule_refused_total{device="dev-1",resource="engine"} 2',
      'ganglion_schedule_wait_seconds_total{device="dev-1",resource="engine"} 1.5',
      'ganglion_schedule_longest_wait_seconds{device="dev-1",resource="engine"} 0.9',
      'ganglion_device_up{device="dev-1"} 1',
      'ganglion_device_uptime_seconds{device="dev-1"} 61',
      'ganglion_device_process_memory_bytes{device="dev-1",process="runtime"} 87400000',
      'ganglion_device_outbox_dropped_total{device="dev-1"} 2',
      'ganglion_gateway_broker_connected 1',
    ])
      expect(body.split('\n')).toContain(line)
    // What the kernel does not tell is not zero.
    expect(body).not.toMatch(/process="engine"/)
  })

  it('are text that a scraper reads, whatever agents are called', async () => {
    const names = ['a"b', 'a\\b', 'a\nb} 7', 'ä']
    device.answer = () => ({ result: statusOf({ agents: { list: names.map(agentOf), more: 0 } }) })
    const { body } = await metrics()
    for (const name of ['a\\"b', 'a\\\\b', 'a\\nb} 7', 'ä'])
      expect(body).toContain(`ganglion_agent_turns_total{device="dev-1",agent="${name}"} 12\n`)
    const sample =
      /^ganglion_[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? -?\d+(\.\d+)?(e[+-]\d+)?$/
    const said = new Map<string, string>()
    for (const line of body.trimEnd().split('\n')) {
      if (line.startsWith('# HELP ')) continue
      const [, name = '', type = ''] = /^# TYPE (\S+) (gauge|counter)$/.exec(line) ?? []
      if (name) {
        expect(said.has(name)).toBe(false)
        expect(name.endsWith('_total')).toBe(type === 'counter')
        said.set(name, type)
      } else {
        expect(line).toMatch(sample)
        expect(said.has(line.split(/[ {]/, 1)[0] as string)).toBe(true)
      }
    }
  })

  it('say that a device is away, or answers what nobody understands, and tell the rest', async () => {
    const away = await onlineDevice('dev-2', statusOf())
    await onlineDevice('dev-3', { nonsense: true })
    await away.availability('offline')
    await until('dev-2 is away', async () => /device_up\{device="dev-2"\} 0/.test((await metrics()).body))
    const { body } = await metrics()
    expect(body).toMatch(/device_up\{device="dev-3"\} 0/)
    expect(body).toMatch(/device_up\{device="dev-1"\} 1/)
    expect(body).not.toMatch(/uptime_seconds\{device="dev-[23]"/)
  })

  it('are bounded: agents beyond a thousand are counted and not told', async () => {
    const list = Array.from({ length: 100 }, (_, at) => agentOf(`agent-${at}`))
    const status = statusOf({ agents: { list, more: 5 } })
    device.answer = () => ({ result: status })
    for (let at = 2; at <= 11; at += 1) await onlineDevice(`dev-${at}`, status)
    const { body } = await metrics()
    expect(body.match(/^ganglion_agent_running\{/gm)).toHaveLength(1_000)
    expect(body).toContain(`ganglion_agents_left_out ${100 + 11 * 5}\n`)
  })

  it('ask each device once, however many look at a time', async () => {
    const before = device.calls.length
    const { hostname, port } = new URL(gateway.httpUrl)
    const socket = connect(Number(port), hostname)
    const look = `GET /metrics HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`
    let said = ''
    socket.on('data', (bytes) => {
      said += bytes
    })
    // In one packet: all three are there before any device can have answered.
    socket.write(look.repeat(3))
    await until('three answers', () => said.split('ganglion_device_up{device="dev-1"} 1').length === 4)
    socket.destroy()
    expect(device.calls.length).toBe(before + 1)
  })

  it('need the token, as all that the gateway tells [api-6]', async () => {
    for (const path of ['/metrics', '/metrics/', '//metrics', '/%6Detrics'])
      expect((await ask(`${gateway.httpUrl}${path}`)).status, path).not.toBe(200)
    expect(await ask(`${gateway.httpUrl}/metrics`)).toMatchObject({
      status: 401,
      body: { error: { code: 'unauthorized' } },
    })
    expect(device.calls).toEqual([])
  })
})
