/** Things of other devices: a grant reaches them only where it says so. */
import { describe, expect, it } from 'vitest'
import { plainWords } from '../../../../runtime/agent/bundle/plain-words.ts'
import { describeCapability, parseCapability } from '../../../../runtime/agent/permissions/capability.ts'
import { grantsOfWants, refuseWider } from '../../../../runtime/agent/permissions/grant.ts'
import { covers } from '../../../../runtime/agent/permissions/pattern.ts'

describe('a pattern', () => {
  it.each([
    ['light.*', 'light.kitchen@hub'],
    ['*.*', 'light.kitchen@hub'],
    ['*.*', '*.*@*'],
    ['light.*', 'light.*@*'],
    ['light.kitchen', 'light.kitchen@hub'],
    ['light.*@hub', 'light.kitchen'],
    ['light.*@hub', 'light.kitchen@attic'],
    ['light.*@hub', 'light.*@*'],
    ['light.*@*', 'light.kitchen'],
    ['light.*@*', 'light.kitchen@hub@attic'],
    ['light.*@*', 'light.a.b@hub'],
    ['light.*@*', 'light.kitchen@hub.local'],
  ])('%s does not reach %s', (granted, asked) => expect(covers(granted, asked)).toBe(false))

  it.each([
    ['light.*@hub', 'light.kitchen@hub'],
    ['light.*@*', 'light.kitchen@hub'],
    ['light.*@*', 'light.k*@h*'],
    ['*.*@*.*', 'light.kitchen@hub.local'],
    ['switch.heat_pump@hub', 'switch.heat_pump@hub'],
  ])('%s reaches %s', (granted, asked) => expect(covers(granted, asked)).toBe(true))
})

describe('a capability', () => {
  it.each(['light.*@hub:command', 'light.*@*:read', 'switch.heat_pump@hub.local:command'])(
    '%s is one',
    (text) => expect(parseCapability(text)).toMatchObject({ pattern: text.slice(0, text.indexOf(':')) }),
  )
  it.each(['light.*@:command', '@hub:read', 'light@hub:read', 'light.a@b@c:read', 'light.a@b/c:read'])(
    '%s is none',
    (text) => expect(typeof parseCapability(text)).toBe('string'),
  )
  it('says in plain words whose things it is about', () => {
    expect(describeCapability({ kind: 'command', pattern: 'light.*@*' })).toBe(
      'command every light of every device of the site',
    )
    expect(describeCapability({ kind: 'read', pattern: 'lock.front@hub' })).toBe(
      'see lock.front of the device hub',
    )
    const [grant] = grantsOfWants(['switch.*@hub:command'])
    expect(grant && plainWords(grant)).toBe('turn all switches of the device hub on and off')
  })
  it('of other devices is wider than one of this device [permit-4]', () => {
    expect(() => refuseWider(grantsOfWants(['light.*@*:command']), ['light.*:command'])).toThrow(/ask for/)
    expect(() => refuseWider(grantsOfWants(['light.a@hub:command']), ['light.*@*:command'])).not.toThrow()
  })
})
