/** What waits for an agent's next turn. */
import { expect, test } from 'vitest'
import { Inbox } from '../../../../runtime/agent/life/inbox.ts'

test('of items that are only worth their latest, one waits, where the latest stands', () => {
  const inbox = new Inbox()
  expect(inbox.item(1, 'a 1', 'a')).toBe(true)
  expect(inbox.item(1, 'b 1', 'b')).toBe(true)
  expect(inbox.item(2, 'a of another stream', 'a')).toBe(true)
  expect(inbox.item(1, 'a 2', 'a')).toBe(true)
  expect(inbox.item(1, 'plain')).toBe(true)
  expect(inbox.item(1, 'plain')).toBe(true)
  const values = () => inbox.take().flatMap((input) => (input.kind === 'item' ? [input.value] : []))
  expect(values()).toEqual(['b 1', 'a of another stream', 'a 2', 'plain', 'plain'])
  // What a turn has taken is not changed under it, and comes back as it was where that turn never was.
  inbox.item(1, 'a 3', 'a')
  inbox.back()
  expect(values()).toEqual(['b 1', 'a of another stream', 'a 2', 'plain', 'plain', 'a 3'])
  inbox.kept()
  for (let n = 0; n < 1_000; n += 1) expect(inbox.item(1, n, 'a')).toBe(true)
  expect(values()).toEqual([999])
})

test('an answer that nobody waits for any more is taken back, once; one that a turn has taken is not [life-9]', () => {
  const inbox = new Inbox()
  const taken: string[] = []
  const answer = (name: string) => ({ ok: true, value: 1, unheard: () => taken.push(name) }) as const
  inbox.settle(1, answer('heard'))
  inbox.take()
  inbox.settle(2, answer('unheard'))
  inbox.settle(3, answer('waits'))
  for (const id of [1, 2, 2]) inbox.leave(id)
  expect(taken).toEqual(['unheard'])
  inbox.kept()
  expect(inbox.take()).toEqual([{ kind: 'settle', id: 3, ok: true, value: 1 }])
})
