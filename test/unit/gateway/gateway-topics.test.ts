/** Who may say and read what where a broker has users. */
import { describe, expect, test } from 'vitest'
import { gatewayPublishFault, mayRead } from '../../../gateway/broker/gateway-topics.ts'
import { Topics } from '../../../runtime/wire/topics.ts'

const topics = new Topics('ganglion')
const kitchen = { clientId: 'ganglion-kitchen', gateway: false }
const hall = { clientId: 'ganglion-hall', gateway: false }
const gateway = { clientId: 'ganglion-gateway-g-offload', gateway: true }

describe('[broker-8] topics that are for one', () => {
  test('only a gateway may say what it offers', () => {
    const topic = 'ganglion/gateway/w1/advert'
    expect(gatewayPublishFault(topics, topic, kitchen)).toBe('only gateways may say what they offer')
    expect(gatewayPublishFault(topics, topic, gateway)).toBeUndefined()
  })

  test.each(['infer', 'ticket', 'cancel'])('a device asks for %s in its own name', (ask) => {
    const topic = `ganglion/gateway/w1/${ask}/kitchen`
    expect(gatewayPublishFault(topics, topic, kitchen)).toBeUndefined()
    expect(gatewayPublishFault(topics, topic, { clientId: 'kitchen', gateway: false })).toBeUndefined()
    expect(gatewayPublishFault(topics, topic, { clientId: 'ganglion-hall', gateway: false })).toBe(
      'ganglion-hall may not ask as kitchen',
    )
  })

  test('what devices ask is read by gateways alone, adverts by everybody', () => {
    expect(mayRead(topics, 'ganglion/gateway/w1/infer/kitchen', kitchen)).toBe(false)
    expect(mayRead(topics, 'ganglion/gateway/w1/infer/kitchen', gateway)).toBe(true)
    expect(mayRead(topics, 'ganglion/gateway/w1/advert', kitchen)).toBe(true)
  })

  test('calls to a device and answers to a caller are read by that one alone, and by gateways', () => {
    for (const topic of ['rpc/infer', 'rpc/hear', 'reply', 'reply/0f1e2d']) {
      const read = (user: { clientId: string; gateway: boolean }) =>
        mayRead(topics, `ganglion/kitchen/${topic}`, user)
      expect([kitchen, { clientId: 'kitchen', gateway: false }, gateway].map(read)).toEqual([
        true,
        true,
        true,
      ])
      expect([hall, { clientId: 'ganglion-kitchen2', gateway: false }].map(read)).toEqual([false, false])
    }
  })

  test('other topics are nobody’s business here', () => {
    for (const topic of ['ganglion/kitchen/state/light.a', 'ganglion/gateway/state/advert', 'zigbee/x']) {
      expect(gatewayPublishFault(topics, topic, kitchen)).toBeUndefined()
      expect(mayRead(topics, topic, kitchen)).toBe(true)
    }
  })
})
