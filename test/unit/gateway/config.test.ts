import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../gateway/config.ts'

const load = (section: unknown, env = {}) => loadConfig(section, 'gateway', env)

describe('loadConfig()', () => {
  it('without anything gives a gateway for this machine only', () => {
    expect(load(undefined)).toMatchObject({
      id: 'gateway',
      base: 'ganglion',
      broker: { kind: 'built-in', host: '127.0.0.1', port: 1883, users: [] },
      http: { host: '127.0.0.1', port: 8080, hosts: [] },
    })
  })

  it.each([
    [{ htpp: {} }, 'gateway: unknown key htpp'],
    [{ mqtt: { prot: 1 } }, 'gateway: unknown key mqtt.prot'],
    [{ http: { port: '80' } }, 'gateway: http.port: expected number, got "80"'],
    [{ http: { port: 70_000 } }, 'gateway: http.port: is not a port (0 to 65535)'],
    [{ id: 'a/b' }, 'gateway: id: is not an id (letters, digits, _ . -)'],
    [{ id: 'state' }, 'gateway: id: is a word that topics use for something else'],
    [{ base: '#' }, 'gateway: base: is not a topic prefix'],
    [
      { brokerUrl: 'http://x' },
      'gateway: brokerUrl: is not a URL like mqtt://host:1883 or mqtts://host:8883',
    ],
    [
      { brokerUrl: 'mqtt://me:secret@x' },
      'gateway.brokerUrl: no password here, use GANGLION_BROKER_PASSWORD or brokerPasswordFile',
    ],
    [{ people: [{ name: 'Ada' }] }, 'gateway.people.0: give either tokenFile or tokenHash'],
    [
      { people: [{ name: 'a:b', tokenHash: 'scrypt$x' }] },
      'gateway: people.0.name: is not a name (1 to 64 characters, no colon)',
    ],
    [
      { people: [{ name: 'Ada', tokenHash: 'plain' }] },
      'gateway: people.0.tokenHash: is not a hash that starts with scrypt$',
    ],
    [
      { people: [1, 2].map((n) => ({ name: 'Ada', tokenHash: `scrypt$the-hash-of-${n}` })) },
      'gateway.people: two are called Ada',
    ],
    [
      { people: ['Ada', 'Bob'].map((name) => ({ name, tokenHash: 'scrypt$the-same-hash' })) },
      'gateway.people: two have the same token: then neither is known by it',
    ],
    [
      { mqtt: { users: [{ username: 'a' }] } },
      'gateway.mqtt.users.0: give either passwordHash or passwordFile',
    ],
    [
      { mqtt: { users: [{ username: 'a', passwordHash: 'plain' }] } },
      'gateway: mqtt.users.0.passwordHash: is not a hash that starts with scrypt$',
    ],
  ])('%j is refused with one line', (section, line) => {
    expect(() => load(section)).toThrow(expect.objectContaining({ code: 'usage', message: line }))
  })

  it('on another’s broker a gateway has an id of its own, which no device has; it is said or made of the host’s name', () => {
    const brokerUrl = 'mqtt://broker.local'
    expect(load({ brokerUrl }).id).toMatch(/^gateway-[a-z0-9_-]+$/)
    expect(load({ brokerUrl, id: 'second' }).id).toBe('second')
  })

  it('secrets come from files or the environment', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'ganglion-secret-')), 'secret')
    writeFileSync(file, 'from-the-file-itself\n')
    const { http } = load({ http: { host: '192.168.1.2', tokenFile: file } })
    expect(http.token).toBe('from-the-file-itself')
    const { broker } = load(
      { brokerUrl: 'mqtts://me@broker.local' },
      { GANGLION_BROKER_PASSWORD: 'from-the-environment' },
    )
    expect(broker).toEqual({
      kind: 'external',
      url: 'mqtts://broker.local',
      username: 'me',
      password: 'from-the-environment',
    })
    expect(() => load({ http: { tokenFile: '/none' } })).toThrow(/http\.tokenFile: cannot read \/none/)
  })

  it('a token that is too short is refused, and not repeated', () => {
    const open = () => load({ http: { host: '192.168.1.2' } }, { GANGLION_GATEWAY_TOKEN: 'hunter2' })
    expect(open).toThrow(/fewer than 16/)
    expect(open).not.toThrow(/hunter2/)
  })

  it('a wildcard address needs the URL that devices use, whose name is then known', () => {
    const env = { GANGLION_GATEWAY_TOKEN: 'a-long-enough-token' }
    const { http } = load({ http: { host: '0.0.0.0', hosts: ['gateway.local'] } }, env)
    expect(http).toMatchObject({ host: '0.0.0.0', hosts: ['gateway.local'] })
  })
})
