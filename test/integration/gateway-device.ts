/** A scripted device: speaks the wire and answers calls as the test says. And a gateway opened for tests. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt, { type MqttClient } from 'mqtt'
import { type GatewayConfig, loadConfig } from '../../gateway/config.ts'
import { Gateway } from '../../gateway/gateway.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { decodeCbor, encodeCbor } from '../../runtime/wire/cbor.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import type { CommandEvent, HomeMessage, SayResult } from '../../runtime/wire/messages.ts'
import { Topics } from '../../runtime/wire/topics.ts'
import { until } from './broker-raw.ts'

export interface OpenOptions {
  readonly section?: Record<string, unknown>
  readonly env?: Record<string, string>
  readonly deadlines?: NonNullable<Parameters<typeof Gateway.open>[0]['deadlines']>
  readonly dashboard?: string
  readonly clock?: Parameters<typeof Gateway.open>[0]['clock']
  /** For what no configuration file may say: a cloud on loopback, without TLS. */
  readonly change?: (config: GatewayConfig) => GatewayConfig
}

export function openGateway({
  section,
  env,
  deadlines,
  dashboard,
  clock,
  change = (config) => config,
}: OpenOptions = {}): Promise<Gateway> {
  const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-gateway-'))
  const config = loadConfig(
    { stateDir, mqtt: { port: 0 }, http: { port: 0 }, ...section },
    'gateway',
    env ?? {},
  )
  return Gateway.open(
    {
      clock: clock ?? realClock,
      log: silentLog,
      version: '0.0.0-test',
      dashboard: dashboard ?? join(stateDir, 'no-dashboard'),
      ...(deadlines && { deadlines }),
    },
    change(config),
    new AbortController().signal,
  )
}

export const homeOf = (id: string, changes: Partial<HomeMessage> = {}): HomeMessage => ({
  v: 1,
  device: { id, name: 'Test device', board: 'virtual-linux', simulated: true, version: '0.1.0' },
  areas: [{ id: 'kitchen', name: 'Kitchen', floor: 'Ground' }],
  entities: [
    {
      id: 'light.ceiling',
      kind: 'light',
      name: 'Ceiling',
      area: 'kitchen',
      features: ['brightness'],
      simulated: true,
    },
    {
      id: 'sensor.cpu',
      kind: 'sensor',
      name: 'CPU',
      unit: '°C',
      deviceClass: 'temperature',
      simulated: false,
    },
  ],
  ...changes,
})

export const said = (transcript: string): SayResult => ({
  outcome: 'done',
  transcript,
  reply: 'Turned on Ceiling.',
  commands: [],
  latencyMs: 12,
})

export const eventOf = (id: string, run: string, changes: Partial<CommandEvent> = {}): CommandEvent => ({
  v: 1,
  id,
  run,
  stage: 'heard',
  sinceMs: 0,
  ts: 1_700_000_000_000,
  ...changes,
})

export type Call = Readonly<Record<string, unknown>> & { readonly method: string }
/** What the device answers: a result, an error, or nothing at all. */
export type Answer =
  | { readonly result: unknown }
  | { readonly error: { readonly code: string; readonly message: string } }
  | undefined

export class ScriptedDevice implements AsyncDisposable {
  readonly id: string
  readonly client: MqttClient
  readonly topics = new Topics('ganglion')
  readonly calls: Call[] = []
  answer: (call: Call) => Answer | Promise<Answer> = () => undefined

  private constructor(id: string, client: MqttClient) {
    this.id = id
    this.client = client
  }

  /** `clean: false` keeps its session, and what is queued for it, while it is away. */
  static async open(url: string, id = 'dev-1', clean = true): Promise<ScriptedDevice> {
    const topics = new Topics('ganglion')
    const client = mqtt.connect(url, {
      clientId: id,
      clean,
      protocolVersion: 4,
      reconnectPeriod: 100,
      timerVariant: 'native',
      will: { topic: topics.availability(id), payload: Buffer.from('offline'), qos: 1, retain: true },
    })
    const device = new ScriptedDevice(id, client)
    client.on('error', () => {})
    client.on('message', (topic, payload) => void device.#answer(topic, payload))
    await until('device connected', () => client.connected)
    await client.subscribeAsync(topics.rpc(id, '+'), { qos: 1 })
    return device
  }

  /** Publishes a home, a state and the availability. */
  async online(home: HomeMessage = homeOf(this.id)): Promise<void> {
    await this.retain(this.topics.home(this.id), home)
    await this.state('light.ceiling', 'off', { brightness: null })
    await this.availability('online')
  }

  async availability(text: string): Promise<void> {
    await this.client.publishAsync(this.topics.availability(this.id), text, { qos: 1, retain: true })
  }

  async state(entity: string, state: string, attributes: Record<string, unknown> = {}): Promise<void> {
    const ts = Date.now()
    await this.retain(this.topics.state(this.id, entity), { v: 1, state, attributes, ts })
  }

  async retain(topic: string, value: unknown): Promise<void> {
    await this.client.publishAsync(topic, JSON.stringify(value), { qos: 1, retain: true })
  }

  async event(event: CommandEvent): Promise<void> {
    await this.client.publishAsync(this.topics.event(this.id, 'command'), JSON.stringify(event), { qos: 1 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true)
  }

  async #answer(topic: string, payload: Buffer): Promise<void> {
    const parsed = this.topics.parse(topic)
    const request = decodeCbor(payload, wireLimits.mqttPayloadBytesMax)
    if (parsed?.kind !== 'rpc' || !request.ok) throw new Error(`not a call: ${topic}`)
    const call = { ...(request.value as Record<string, unknown>), method: parsed.method }
    this.calls.push(call)
    const answer = await this.answer(call)
    if (!answer) return
    const { id, replyTo } = call as unknown as { id: string; replyTo: string }
    const reply = 'result' in answer ? { id, ok: true, ...answer } : { id, ok: false, ...answer }
    await this.client.publishAsync(replyTo, Buffer.from(encodeCbor(reply)), { qos: 0 })
  }
}

export interface Reply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into any answer
  readonly body: any
  readonly headers: Headers
}

export async function ask(url: string, init?: RequestInit): Promise<Reply> {
  const response = await fetch(url, init)
  const text = await response.text()
  let body: unknown = text
  if (response.headers.get('content-type')?.startsWith('application/json')) body = JSON.parse(text)
  return { status: response.status, body, headers: response.headers }
}

export const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
