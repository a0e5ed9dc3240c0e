/**
 * A steady flow of messages to several healthy subscribers and to one that stops reading; what the healthy ones got
 * meanwhile. Publisher and subscribers live in this process, the broker does not.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import mqtt, { type MqttClient } from 'mqtt'
import { realClock, sleep } from '../../runtime/base/clock.ts'
import { connectPacket, subscribePacket } from '../integration/broker-raw.ts'
import { quantile } from './quantiles.ts'

const topic = 'bench/flow'
const healthyCount = 3
/** 250 messages a second of 16 KiB: 4 MB/s, which fills the stalled one's socket buffers in a second or two. */
const periodMs = 4
const payload = Buffer.alloc(16 * 1024, 120)
/** What arrives later than this after the last message counts as not got. */
const graceMs = 500

export interface Flow {
  /** Of what was published meanwhile, how much each healthy subscriber got, percent. */
  readonly sharePercent: number
  /** The longest that any healthy subscriber waited for its next message. */
  readonly gapMs: number
  readonly published: number
}

export async function measureFlow(port: number, stallMs: number, signal: AbortSignal): Promise<Flow> {
  await using stack = new AsyncDisposableStack()
  const open = async () => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      protocolVersion: 4,
      reconnectPeriod: 0,
    })
    stack.defer(() => client.endAsync(true))
    return client
  }
  const healthy: Subscriber[] = []
  for (let n = 0; n < healthyCount; n += 1) healthy.push(await Subscriber.open(await open()))
  const publisher = await open()
  const stalled = await openStalled(port)
  stack.defer(() => {
    stalled.destroy()
  })
  for (const subscriber of healthy) subscriber.start()
  const published = await publishFor(publisher, stallMs, signal)
  await sleep(realClock, graceMs, signal)
  const got = healthy.reduce((sum, subscriber) => sum + subscriber.count, 0)
  return {
    sharePercent: (100 * got) / (published * healthyCount),
    gapMs: quantile(
      healthy.map((subscriber) => subscriber.longestGapMs(graceMs)),
      1,
    ),
    published,
  }
}

async function publishFor(publisher: MqttClient, stallMs: number, signal: AbortSignal): Promise<number> {
  const startMs = performance.now()
  let published = 0
  for (let elapsedMs = 0; elapsedMs < stallMs; elapsedMs = performance.now() - startMs) {
    for (; published * periodMs < elapsedMs; published += 1) publisher.publish(topic, payload)
    await sleep(realClock, periodMs, signal)
  }
  return published
}

class Subscriber {
  count = 0
  #lastMs = 0
  #longestMs = 0

  static async open(client: MqttClient): Promise<Subscriber> {
    const subscriber = new Subscriber()
    client.on('message', () => subscriber.#got())
    await client.subscribeAsync(topic, { qos: 0 })
    return subscriber
  }

  start(): void {
    this.#lastMs = performance.now()
  }

  /** Waiting at the end counts too, but for the time in which nothing was published any more. */
  longestGapMs(quietMs: number): number {
    return Math.max(this.#longestMs, performance.now() - this.#lastMs - quietMs)
  }

  #got(): void {
    const nowMs = performance.now()
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    this.count += 1
  }
}

/** Subscribes, then never reads again. */
async function openStalled(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(connectPacket({ id: 'stalled' }))
  await once(socket, 'data')
  socket.write(subscribePacket([topic]))
  await once(socket, 'data')
  socket.pause()
  return socket
}
