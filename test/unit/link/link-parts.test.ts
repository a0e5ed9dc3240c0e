/** The small parts of the link, each by itself. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { createLog } from '../../../runtime/base/log.ts'
import { BadMessages } from '../../../runtime/link/bad-messages.ts'
import { parseBrokerUrl } from '../../../runtime/link/broker-address.ts'
import { LinkError } from '../../../runtime/link/errors.ts'
import { RecentIds } from '../../../runtime/link/recent-ids.ts'
import { isReplyTopic } from '../../../runtime/link/reply-topic.ts'
import { RetainedValues } from '../../../runtime/link/retained.ts'

describe('the broker URL', () => {
  test('gives host, port and user, and shows itself without secrets', () => {
    expect(parseBrokerUrl('mqtts://me:p%40ss@broker.lan')).toEqual({
      host: 'broker.lan',
      port: 8883,
      tls: true,
      username: 'me',
      password: 'p@ss',
      display: 'mqtts://broker.lan:8883',
    })
    expect(parseBrokerUrl('mqtt://[::1]:99')).toMatchObject({ host: '::1', port: 99, tls: false })
  })

  test('that cannot be read is an error that does not repeat it, for it may hold a password', () => {
    expect(() => parseBrokerUrl('mqtt://me:s3cret@')).toThrow(LinkError)
    expect(() => parseBrokerUrl('mqtt://me:s3cret@')).not.toThrow(/s3cret/)
  })
})

describe('retained values', () => {
  const bytes = (text: string) => Buffer.from(text)
  const drain = (values: RetainedValues) => {
    const taken: string[] = []
    for (let next = values.take(); next; next = values.take()) {
      taken.push(`${next.value.topic}=${Buffer.from(next.value.payload)}`)
      next.acknowledged()
    }
    return taken
  }
  const fresh = (topicsMax = 3, bytesMax = 100) => new RetainedValues({ topicsMax, bytesMax })

  test('are coalesced per topic: only the latest is published', () => {
    const values = fresh()
    for (const text of ['1', '2', '3']) values.set('a', bytes(text))
    expect(drain(values)).toEqual(['a=3'])
    expect(drain(values)).toEqual([])
  })

  test('are all published again after a reconnect, in the order of first use', () => {
    const values = fresh()
    values.set('availability', bytes('online'))
    values.set('b', bytes('1'))
    values.set('a', bytes('1'))
    drain(values)
    values.set('a', bytes('2'))
    values.markAllDirty()
    expect(drain(values)).toEqual(['availability=online', 'b=1', 'a=2'])
  })

  test('that were cleared are forgotten only once the broker has heard of it', () => {
    const values = fresh()
    values.set('a', bytes('1'))
    drain(values)
    values.clear('a')
    values.take()
    values.markAllDirty()
    expect(drain(values)).toEqual(['a='])
    values.markAllDirty()
    expect(drain(values)).toEqual([])
  })

  test('a value set while its clearing was under way stays', () => {
    const values = fresh()
    values.clear('a')
    const clearing = values.take()
    values.set('a', bytes('1'))
    clearing?.acknowledged()
    values.markAllDirty()
    expect(drain(values)).toEqual(['a=1'])
  })

  test('have a maximum of topics and of bytes, and what is held stays when it is reached', () => {
    const values = fresh(2, 10)
    values.set('a', bytes('12345'))
    values.set('b', bytes('12345'))
    expect(() => values.set('c', bytes(''))).toThrow(/no room to retain c/)
    expect(() => values.set('a', bytes('123456'))).toThrow(LinkError)
    expect(drain(values)).toEqual(['a=12345', 'b=12345'])
  })
})

describe('a reply topic', () => {
  const rules = { base: 'site/ganglion', discoveryPrefix: 'homeassistant' }

  test.each(['site/ganglion/gateway/reply', 'site/ganglion/gateway/reply/7', 'elsewhere/answers', 'site/x'])(
    '%s may be answered to',
    (topic) => expect(isReplyTopic(topic, rules)).toBe(true),
  )

  test.each([
    '',
    '#',
    'a/+/b',
    'a\0b',
    '$SYS/x',
    'site/ganglion',
    'site/ganglion/d2/availability',
    'site/ganglion/d2/state/light.a',
    'site/ganglion//reply',
    'zigbee2mqtt/lock/set',
    'site/ganglion/d2/rpc/say',
    'homeassistant/status',
  ])('%j may not [link-9]', (topic) => expect(isReplyTopic(topic, rules)).toBe(false))
})

test('recent ids are known until as many newer ones came, never longer', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 })), (numbers) => {
      const recent = new RecentIds(3)
      let last: number[] = []
      for (const n of numbers) {
        expect(recent.isNew(String(n))).toBe(!last.includes(n))
        last = [n, ...last.filter((other) => other !== n)].slice(0, 3)
      }
    }),
  )
})

test('bad messages are all counted and logged once a minute, with the topic and how many there were [link-6]', () => {
  const clock = new VirtualClock()
  const lines: string[] = []
  const log = createLog({ level: 'warn', json: true, write: (line) => lines.push(line), nowMs: () => 0 })
  const bad = new BadMessages(clock, log)
  for (let n = 0; n < 100; n++) bad.add(`t${n}`, 'not JSON')
  clock.advance(60_000)
  bad.add('late', 'not JSON')
  expect(bad.count).toBe(101)
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { topic: 't0', sinceLastLine: 1 },
    { topic: 'late', sinceLastLine: 100 },
  ])
})
