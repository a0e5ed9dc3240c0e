import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SubscriptionTrie } from '../../../gateway/broker/subscription-trie.ts'
import { topicFilterFault, topicMatches, topicNameFault } from '../../../gateway/broker/topic-rules.ts'

const bounds = { topicBytesMax: 512, topicLevelsMax: 16 }

describe('topicMatches() (MQTT 3.1.1, section 4.7)', () => {
  it.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/#', 'sport', true],
    ['#', 'sport/tennis', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/x', false],
    ['+/monitor', '$SYS/monitor', false],
    ['a/b', 'a/c', false],
  ])('%s and %s: %s', (filter, topic, matches) => {
    expect(topicMatches(filter, topic)).toBe(matches)
  })
})

const level = fc.constantFrom('a', 'b', '', '$c')
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest ? ['#'] : [])].join('/'))

describe('SubscriptionTrie', () => {
  it('finds exactly the clients with a matching filter, each once with its highest quality of service', () => {
    const subs = fc.array(fc.tuple(filter, fc.constantFrom('x', 'y', 'z'), fc.constantFrom(1, 2)), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(subs, fc.array(fc.nat({ max: 11 })), topic, (added, removed, name) => {
        const trie = new SubscriptionTrie()
        const left = new Map<string, { filter: string; client: string; qos: number }>()
        for (const [of, client, qos] of added) {
          trie.set(of, client, qos)
          left.set(`${client} ${of}`, { filter: of, client, qos })
        }
        for (const index of removed) {
          const [of, client] = added[index] ?? []
          if (of === undefined || client === undefined) continue
          trie.delete(of, client)
          left.delete(`${client} ${of}`)
        }
        const expected = new Map<string, number>()
        for (const { filter: of, client, qos } of left.values())
          if (topicMatches(of, name)) expected.set(client, Math.max(qos, expected.get(client) ?? 0))
        expect(new Map([...trie.match(name)].sort())).toEqual(new Map([...expected].sort()))
      }),
      { numRuns: 500 },
    )
  })
})

describe('topic rules', () => {
  it('a filter is accepted exactly when section 4.7.1 allows it', () => {
    for (const good of ['#', '+', '/', 'a/+/b', '+/#', 'a/#', '+/+'])
      expect(topicFilterFault(good, bounds)).toBeUndefined()
    for (const bad of ['', 'a#', '#/a', 'a+', '+a', 'a/b+/c', '\u0000'])
      expect(topicFilterFault(bad, bounds)).toBeTypeOf('string')
  })

  it('bytes count, not characters', () => {
    expect(topicNameFault('ü'.repeat(256), bounds)).toBeUndefined()
    expect(topicNameFault('ü'.repeat(257), bounds)).toMatch(/512 bytes/)
  })
})
