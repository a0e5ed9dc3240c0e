import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DeviceTopic, isTopicId, Topics } from '../../../runtime/wire/topics.ts'

const id = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}$/)
const base = fc
  .array(fc.stringMatching(/^[a-z0-9_-]{1,8}$/), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'))

const topic: fc.Arbitrary<DeviceTopic> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('availability' as const, 'home' as const, 'agents' as const),
    device: id,
  }),
  fc.record({ kind: fc.constantFrom('state' as const, 'set' as const), device: id, entity: id }),
  fc.record({ kind: fc.constant('event' as const), device: id, event: id }),
  fc.record({ kind: fc.constant('rpc' as const), device: id, method: id }),
)

function build(topics: Topics, one: DeviceTopic): string {
  if (one.kind === 'availability' || one.kind === 'home' || one.kind === 'agents')
    return topics[one.kind](one.device)
  if (one.kind === 'event') return topics.event(one.device, one.event)
  if (one.kind === 'rpc') return topics.rpc(one.device, one.method)
  return topics[one.kind](one.device, one.entity)
}

describe('Topics', () => {
  test('reads back every topic that it builds [wire-1]', () => {
    fc.assert(
      fc.property(base, topic, (prefix, one) => {
        const topics = new Topics(prefix)
        expect(topics.parse(build(topics, one))).toEqual(one)
      }),
    )
  })

  test('understands only topics that it could have built', () => {
    const parts = fc.array(
      fc.oneof(id, fc.constantFrom('', '+', '#', 'state', 'set', 'home', '..'), fc.string()),
      { maxLength: 5 },
    )
    fc.assert(
      fc.property(base, parts, (prefix, rest) => {
        const topics = new Topics(prefix)
        const text = [prefix, ...rest].join('/')
        const parsed = topics.parse(text)
        if (parsed) expect(build(topics, parsed)).toBe(text)
      }),
    )
  })

  test('a level without a name is no topic', () => {
    const topics = new Topics('ganglion')
    expect(topics.parse('ganglion/hub/home/')).toBeUndefined()
    expect(topics.parse('ganglion/hub/state')).toBeUndefined()
  })

  test('no id climbs a level or matches others: what has a slash, a wildcard or a control character is refused [wire-2]', () => {
    const hostile = fc
      .tuple(fc.string(), fc.constantFrom('/', '#', '+x', '\0', '\n', ' ', 'é', '$'), fc.string())
      .map((parts) => parts.join(''))
    const topics = new Topics('ganglion')
    fc.assert(
      fc.property(hostile, id, (bad, good) => {
        expect(isTopicId(bad)).toBe(false)
        expect(() => topics.state(bad, good)).toThrow('not a topic id')
        expect(() => topics.set(good, bad)).toThrow('not a topic id')
        expect(topics.parse(`ganglion/${good}/state/${bad}`)).toBeUndefined()
      }),
    )
  })

  test('a newline at the end does not pass for an end', () => {
    expect(isTopicId('lamp\n')).toBe(false)
    expect(() => new Topics('ganglion\n')).toThrow('not a topic prefix')
  })

  test.each(['', '/', 'a/', '/a', 'a//b', '+', 'a/#', '$SYS', 'a b', 'x'.repeat(101)])(
    'refuses %j as its prefix',
    (prefix) => {
      expect(() => new Topics(prefix)).toThrow('not a topic prefix')
    },
  )

  test('builds the filters that a subscriber needs with +', () => {
    const topics = new Topics('ganglion')
    expect(topics.home('+')).toBe('ganglion/+/home')
    expect(topics.state('+', '+')).toBe('ganglion/+/state/+')
  })

  test('an id has at most 128 characters', () => {
    expect(isTopicId('x'.repeat(128))).toBe(true)
    expect(isTopicId('x'.repeat(129))).toBe(false)
  })

  test('takes no topic of another prefix, also not of one that it begins with', () => {
    const topics = new Topics('home')
    expect(topics.parse('home2/dev/availability')).toBeUndefined()
    expect(topics.parse('home/x/dev/availability')).toBeUndefined()
  })
})
