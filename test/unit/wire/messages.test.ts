import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  check,
  commandEvent,
  homeMessage,
  parseJson,
  setMessage,
  stateMessage,
} from '../../../runtime/wire/messages.ts'
import { rpcReply, rpcRequest } from '../../../runtime/wire/rpc.ts'

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const state = { v: 1, state: 'on', attributes: { brightness: 128, rgb_color: [1, 2, 3] }, ts: 1 }
const event = { v: 1, id: 'e-1', run: 'r-1', stage: 'verified', sinceMs: 3, ts: 4 }

describe('messages', () => {
  test('ignore unknown fields, so that an older receiver understands a newer sender [wire-5]', () => {
    expect(check(stateMessage, { ...state, colour: 'green' })).toEqual({ ok: true, value: state })
    expect(check(commandEvent, { ...event, mood: 'good' })).toEqual({ ok: true, value: event })
  })

  test.each([
    ['another version', { ...state, v: 2 }, 'v: '],
    ['a state that is a number', { ...state, state: 1 }, 'state: '],
    ['a state of 256 characters', { ...state, state: 'x'.repeat(256) }, 'state: '],
    ['attributes that are a list', { ...state, attributes: [] }, 'attributes: '],
    ['no time', { ...state, ts: undefined }, 'ts: '],
    ['a time that is no number', { ...state, ts: Number.POSITIVE_INFINITY }, 'ts: '],
  ])('a state with %s is refused, naming the field', (_, message, where) => {
    const parsed = check(stateMessage, message)
    expect(parsed.ok).toBe(false)
    expect(parsed.ok ? '' : parsed.reason).toMatch(new RegExp(`^${where}`))
  })

  test.each([null, 1, 'on', [], [1], true])('a command that is %j is refused', (message) => {
    expect(check(setMessage, message)).toMatchObject({ ok: false })
  })

  test('a command keeps the fields of its kind beside id and ttlMs', () => {
    const command = { id: 'c-1', ttlMs: 1000, state: 'on', rgb_color: [255, 0, 0], nested: { a: [null] } }
    expect(check(setMessage, command)).toEqual({ ok: true, value: command })
  })

  test.each([
    { ttlMs: 0 },
    { ttlMs: 600_001 },
    { ttlMs: '5' },
    { id: '' },
    { id: '../x' },
    { id: 'x'.repeat(129) },
  ])('a command with %j is refused', (message) => {
    expect(check(setMessage, message)).toMatchObject({ ok: false })
  })

  test('a home with an entity whose id could climb a topic is refused', () => {
    const home = {
      v: 1,
      device: { id: 'dev', name: 'Dev', board: 'b', simulated: true, version: '1' },
      areas: [],
      entities: [{ id: 'light.a', kind: 'light', name: 'A', simulated: true }],
    }
    expect(check(homeMessage, home)).toEqual({ ok: true, value: home })
    home.entities = [{ id: 'light/a', kind: 'light', name: 'A', simulated: true }]
    expect(check(homeMessage, home)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('entities.0.id'),
    })
  })

  test('a call without an address to answer to, or with a deadline of nothing, is refused', () => {
    const call = { id: '1', replyTo: 'a/b', deadlineMs: 100, text: 'hello' }
    expect(check(rpcRequest, call)).toEqual({ ok: true, value: call })
    expect(check(rpcRequest, { ...call, replyTo: '' })).toMatchObject({ ok: false })
    expect(check(rpcRequest, { ...call, deadlineMs: 0 })).toMatchObject({ ok: false })
  })

  test('an answer is a result or an error, never neither', () => {
    expect(check(rpcReply, { id: '1', ok: true, result: null })).toMatchObject({ ok: true })
    expect(check(rpcReply, { id: '1', ok: false })).toMatchObject({ ok: false })
    expect(check(rpcReply, { id: '1', ok: false, error: { code: 'odd', message: '' } })).toMatchObject({
      ok: false,
    })
  })
})

describe('parseJson', () => {
  test('gives back what was sent', () => {
    expect(parseJson(stateMessage, bytes(state), 8192)).toEqual({ ok: true, value: state })
  })

  test('refuses a payload over its limit before reading it', () => {
    expect(parseJson(stateMessage, bytes('x'.repeat(100)), 99)).toEqual({
      ok: false,
      reason: '100 bytes, more than the 99 allowed',
    })
  })

  test('refuses what is not UTF-8 or not JSON', () => {
    for (const payload of [Uint8Array.of(0xff, 0xfe), bytes('{'), bytes('')])
      expect(parseJson(stateMessage, payload, 100)).toEqual({ ok: false, reason: 'not JSON in UTF-8' })
  })

  test('refuses nesting that would overflow the stack of the check', () => {
    const depth = 20_000
    const deep = `{"v":1,"state":"on","ts":1,"attributes":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`
    expect(parseJson(stateMessage, bytes(deep), 128 * 1024)).toMatchObject({ ok: false })
  })

  test('a __proto__ field changes no prototype', () => {
    const parsed = parseJson(setMessage, bytes('{"__proto__":{"polluted":true},"state":"on"}'), 100)
    expect((parsed.ok ? (parsed.value as Record<string, unknown>) : {})['polluted']).toBeUndefined()
  })

  test('never throws, whatever arrives, and its reason is one line', () => {
    const payload = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.jsonValue().map(bytes))
    fc.assert(
      fc.property(payload, fc.constantFrom(stateMessage, commandEvent, homeMessage), (received, schema) => {
        const parsed = parseJson(schema as typeof stateMessage, received, 8192)
        if (!parsed.ok) expect(parsed.reason).not.toMatch(/[\n\r]/)
      }),
      { numRuns: 1000 },
    )
  })
})
