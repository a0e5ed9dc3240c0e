import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Identity } from '../../../runtime/base/identity.ts'

const dir = mkdtempSync(join(tmpdir(), 'ganglion-identity-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const text = Buffer.from('what was said')

describe('the identity of a device', () => {
  test('is made once, for its user only, and is the same after a restart', () => {
    const first = Identity.open('hub', join(dir, 'hub'))
    const path = join(dir, 'hub', 'identity.key')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const signature = first.sign(text)
    const again = Identity.open('hub', join(dir, 'hub'))
    expect(again.publicKey).toBe(first.publicKey)
    expect(first.publicKey).toMatch(/^[\w-]{43}$/)
    expect(again.verify('hub', text, signature)).toBe('valid')
    expect(again.verify('hub', Buffer.from('what was not'), signature)).toBe('forged')
    expect(again.verify('hub', text, Buffer.from('short'))).toBe('forged')
  })

  test('believes those it was told to, under the key it was told first', () => {
    const hub = Identity.open('hub', join(dir, 'one'))
    const lamp = Identity.open('lamp', join(dir, 'two'))
    expect(hub.verify('lamp', text, lamp.sign(text))).toBe('unknown')
    expect(hub.trust('lamp', lamp.publicKey)).toBe(true)
    expect(hub.trust('lamp', lamp.publicKey)).toBe(true)
    expect(hub.trust('lamp', hub.publicKey)).toBe(false)
    expect(hub.trust('hub', lamp.publicKey)).toBe(false)
    expect(hub.verify('lamp', text, lamp.sign(text))).toBe('valid')
    expect(hub.verify('lamp', text, hub.sign(text))).toBe('forged')
    expect(hub.trusted).toEqual(['hub', 'lamp'])
  })

  test('is never made anew over one that cannot be read', () => {
    Identity.open('hub', join(dir, 'kept'))
    const path = join(dir, 'kept', 'identity.key')
    chmodSync(path, 0o600)
    writeFileSync(path, 'half a key')
    expect(() => Identity.open('hub', join(dir, 'kept'))).toThrow()
    expect(readFileSync(path, 'utf8')).toBe('half a key')
  })
})
