/** A client made of bytes, for what no MQTT library would send; and an opened broker with its end. */
import { connect, type Socket } from 'node:net'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { Broker, type BrokerOptions } from '../../gateway/broker/broker.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'

export function openBroker(options: Partial<BrokerOptions> = {}): Promise<Broker> {
  return Broker.open(
    { clock: realClock, log: silentLog },
    { host: '127.0.0.1', port: 0, ...options },
    new AbortController().signal,
  )
}

export function openClient(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  return mqtt.connectAsync(url, {
    protocolVersion: 4,
    reconnectPeriod: 0,
    timerVariant: 'native',
    ...options,
  })
}

/** Resolves when `condition` holds; fails after the deadline. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, limitMs = 15_000) {
  const endMs = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const string = (text: string | Buffer) => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
}

export function packet(firstByte: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  let left = body.length
  do {
    length.push((left % 128) + (left >= 128 ? 128 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return Buffer.concat([Buffer.from([firstByte, ...length]), body])
}

export interface ConnectParts {
  readonly id?: string | Buffer
  readonly clean?: boolean
  readonly keepaliveS?: number
  readonly willTopic?: string | Buffer
  readonly level?: number
}

export function connectPacket({
  id = 'raw',
  clean = true,
  keepaliveS = 0,
  willTopic,
  level = 4,
}: ConnectParts): Buffer {
  const flags = (clean ? 2 : 0) | (willTopic === undefined ? 0 : 4)
  const head = Buffer.concat([string('MQTT'), Buffer.from([level, flags, keepaliveS >> 8, keepaliveS & 255])])
  const will = willTopic === undefined ? [] : [string(willTopic), string('gone')]
  return packet(0x10, head, string(id), ...will)
}

export const publishPacket = (topic: string | Buffer, payload = 'x') =>
  packet(0x30, string(topic), Buffer.from(payload))

export const subscribePacket = (filters: readonly (string | Buffer)[], qos = 0) =>
  packet(0x82, Buffer.from([0, 7]), ...filters.flatMap((filter) => [string(filter), Buffer.from([qos])]))

export class RawClient implements Disposable {
  readonly socket: Socket
  closed = false
  #chunks: Buffer[] = []

  private constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port })
    this.socket.on('data', (chunk) => {
      this.#chunks.push(chunk as Buffer)
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
    })
  }

  static async open(port: number): Promise<RawClient> {
    const client = new RawClient(port)
    await until('connected', () => !client.socket.connecting)
    return client
  }

  /** Connects with MQTT and waits for the acceptance. */
  static async connected(port: number, parts: ConnectParts = {}): Promise<RawClient> {
    const client = await RawClient.open(port)
    client.socket.write(connectPacket(parts))
    await client.untilReceived(4)
    if (client.received[3] !== 0) throw new Error(`refused with ${client.received[3]}`)
    client.forgetReceived()
    return client
  }

  get received(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] ?? Buffer.alloc(0)
  }

  forgetReceived(): void {
    this.#chunks = []
  }

  untilReceived(bytes: number): Promise<void> {
    return until(`${bytes} bytes received`, () => this.received.length >= bytes)
  }

  untilClosed(): Promise<void> {
    return until('closed by the broker', () => this.closed)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
