import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createToken, TokenGate } from '../../../../hal/safety/token.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

let dir = ''
const clock = new VirtualClock()
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-token-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('the safety token [safety-6]', () => {
  test('is shown once and kept as a salted hash that only this user can read', async () => {
    const token = await createToken(dir)
    expect(token).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){4}[0-9A-HJKMNP-TV-Z]{4}$/)
    const file = join(dir, 'token.json')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).not.toContain(token.replaceAll('-', ''))
    await expect(createToken(dir)).rejects.toMatchObject({ code: 'busy' })
  })

  test('two devices have two tokens', async () => {
    const first = await createToken(dir)
    rmSync(join(dir, 'token.json'))
    expect(await createToken(dir)).not.toBe(first)
  })

  test('is taken as a person types it', async () => {
    const token = await createToken(dir)
    const gate = new TokenGate(dir, clock)
    for (const typed of [token, token.toLowerCase(), token.replaceAll('-', ' '), ` ${token}\n`])
      await expect(gate.check(typed)).resolves.toBeUndefined()
  })

  test.each(['', undefined, 'wrong', '0'.repeat(20), 'x'.repeat(10_000)])('refuses %s', async (typed) => {
    await createToken(dir)
    await expect(new TokenGate(dir, clock).check(typed)).rejects.toMatchObject({ code: 'permission' })
  })

  test('says how to make one where there is none, and what to do with a broken file', async () => {
    const gate = new TokenGate(dir, clock)
    await expect(gate.check('anything')).rejects.toThrow(/make one with "ganglion safety token"/)
    writeFileSync(join(dir, 'token.json'), '{}')
    await expect(gate.check('anything')).rejects.toThrow(/delete it and make a token/)
  })

  test('after five wrong ones in a minute refuses the right one too, for a minute', async () => {
    const token = await createToken(dir)
    const gate = new TokenGate(dir, clock)
    for (let n = 0; n < 5; n += 1) await expect(gate.check('wrong')).rejects.toThrow(/not the safety token/)
    await expect(gate.check(token)).rejects.toThrow(/too many wrong tokens: try again in 60 s/)
    clock.advance(59_999)
    await expect(gate.check(token)).rejects.toThrow(/try again in 1 s/)
    clock.advance(1)
    await expect(gate.check(token)).resolves.toBeUndefined()
  })

  test('wrong ones that are far apart do not add up', async () => {
    const token = await createToken(dir)
    const gate = new TokenGate(dir, clock)
    for (let n = 0; n < 8; n += 1) {
      await expect(gate.check('wrong')).rejects.toThrow(/not the safety token/)
      clock.advance(30_000)
    }
    await expect(gate.check(token)).resolves.toBeUndefined()
  })

  test('one is checked at a time', async () => {
    const token = await createToken(dir)
    const gate = new TokenGate(dir, clock)
    const outcomes = await Promise.allSettled([gate.check(token), gate.check(token)])
    expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'busy' } }])
  })
})
