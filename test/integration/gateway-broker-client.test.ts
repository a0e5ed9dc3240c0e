/** Both connections of a gateway to somebody else's broker: what is too large for them, and how they end. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { until } from './broker-raw.ts'
import { openGateway } from './gateway-device.ts'

let stack: AsyncDisposableStack
let broker: TestBroker
let gateway: Gateway

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
  gateway = stack.use(await openGateway({ section: { brokerUrl: broker.url, id: 'g1' } }))
})
afterEach(() => stack.disposeAsync())

test.each([
  ['what devices say', 'ganglion/d9/state/light.a', 'd9'],
  ['answers of devices', 'ganglion/g1/reply', 'reply'],
  ['requests for inference', 'ganglion/gateway/g1/infer/d9', 'd9'],
])(
  '[wire-7] of %s a packet that is too large is never collected, and ends no connection',
  async (_, topic, who) => {
    const peer = stack.use(await Peer.connect(broker.url, []))
    await peer.say(topic, new Uint8Array(1024 * 1024))
    const line = () => gateway.health().problems.find((problem) => problem.startsWith(`${who} sent`))
    await until('it is counted', () => line() !== undefined)
    expect(line()).toMatch(/1 bad messages, last: 1048\d{3} bytes, more than any message of ours$/)
    expect(gateway.health()).toMatchObject({ broker: { connected: true }, offload: { connected: true } })
  },
)

test('[offload-2] a gateway that stops takes its advert back, once', async () => {
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/gateway/g1/advert']))
  await peer.hear('the advert', ({ payload }) => payload.length > 0)
  await gateway[Symbol.asyncDispose]()
  await peer.hear('its end', ({ payload }) => payload.length === 0)
  expect(peer.heard.filter(({ payload }) => payload.length === 0)).toHaveLength(1)
})
