/** An agent's replaced copy commands nothing, also after a restart. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../runtime/base/log.ts'
import { Actuation } from '../../../runtime/things/actuation.ts'
import { Fences } from '../../../runtime/things/fences.ts'
import { openSimHome } from '../../fixtures/sim-home.ts'

let directory = ''
let ms = 0
const clock = { nowMs: () => (ms += 200) }
const open = () => new Fences({ clock, log: silentLog }, directory)
const admits = (fences: Fences, principal: string, token: number) =>
  fences.refusal(principal, token) === undefined
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fences-'))
})
afterEach(() => rm(directory, { recursive: true }))

describe('a fence', () => {
  it('admits the same token and higher ones, of each agent its own', () => {
    using fences = open()
    expect(admits(fences, 'agent:a', 2)).toBe(true)
    expect(admits(fences, 'agent:a', 2)).toBe(true)
    expect(admits(fences, 'agent:a', 1)).toBe(false)
    expect(admits(fences, 'agent:b', 1)).toBe(true)
    expect(admits(fences, 'agent:a', 3)).toBe(true)
    expect(admits(fences, 'agent:a', 2)).toBe(false)
  })

  it('holds after a restart [things-8]', () => {
    {
      using fences = open()
      admits(fences, 'agent:a', 5)
    }
    using fences = open()
    expect(admits(fences, 'agent:a', 4)).toBe(false)
    expect(admits(fences, 'agent:a', 5)).toBe(true)
  })

  it('remembers a thousand agents, and forgets the one that was raised longest ago', () => {
    using fences = open()
    for (let at = 0; at <= 1_000; at += 1) admits(fences, `agent:a${at}`, 9)
    expect(admits(fences, 'agent:a1', 8)).toBe(false)
    expect(admits(fences, 'agent:a0', 1)).toBe(true)
  })

  it('remembers nothing of tokens that are not to be kept: whoever names any leases pushes no agent out', () => {
    using fences = open()
    admits(fences, 'agent:a', 5)
    for (let at = 0; at <= 1_000; at += 1)
      expect(fences.refusal(`lease:l${at}`, 9, { kept: 0 })).toBeUndefined()
    expect(admits(fences, 'agent:a', 4)).toBe(false)
  })
})

describe('a device that invents agents', () => {
  const floods = (fences: Fences, device: string, of = device) => {
    for (let at = 0; at < 257; at += 1) {
      expect(fences.refusal(`agent:${of}${at} f0`, 9, { device })).toBeUndefined()
      expect(fences.refusal(`lease:${of}${at}`, 9, { device })).toBeUndefined()
    }
  }

  it('makes no old token of another device accepted, nor one of an agent that went to another [things-14]', () => {
    {
      using fences = open()
      admits(fences, 'agent:own', 5)
      admits(fences, 'lease:own', 5)
      expect(fences.refusal('agent:a f0', 5, { device: 'hub' })).toBeUndefined()
      expect(fences.refusal('lease:a', 5, { device: 'hub' })).toBeUndefined()
      // It began on the one that lies; and one that the liar has named before its own device did.
      expect(fences.refusal('agent:b f0', 4, { device: 'liar' })).toBeUndefined()
      expect(fences.refusal('agent:b f0', 5, { device: 'hub' })).toBeUndefined()
      expect(fences.refusal('agent:c f0', 5, { device: 'liar' })).toBeUndefined()
      expect(fences.refusal('agent:c f0', 5, { device: 'hub' })).toBeUndefined()
      floods(fences, 'liar')
    }
    using fences = open()
    floods(fences, 'liar', 'another')
    for (const known of ['agent:own', 'lease:own', 'agent:a f0', 'lease:a', 'agent:b f0', 'agent:c f0'])
      expect(fences.refusal(known, 4, { device: 'attic' })).toContain('goes on elsewhere')
  })

  it('shuts out nobody: agents that were never here, later holders, and its own later agents command [things-14]', () => {
    using fences = open()
    admits(fences, 'agent:own', 5)
    floods(fences, 'liar')
    for (const device of ['hub', 'liar', '']) {
      expect(fences.refusal(`agent:fresh${device} f1`, 1, { device })).toBeUndefined()
      expect(fences.refusal(`lease:fresh${device}`, 1, { device })).toBeUndefined()
    }
    expect(fences.refusal('agent:own', 6, { device: 'hub' })).toBeUndefined()
    expect(fences.refusal('agent:own', 5)).toContain('goes on elsewhere')
  })

  it('makes this one write to its disk a few times a second, and keeps nobody else waiting [things-14]', () => {
    using fences = new Fences({ clock: { nowMs: () => ms }, log: silentLog }, directory)
    const name = (n: number, device: string) => fences.refusal(`agent:${device}${n} f0`, 9, { device })
    for (let n = 0; n < 256; n += 1) expect(name(n, 'liar')).toBeUndefined()
    expect(name(256, 'liar')).toContain('liar names more agents and leases than are kept')
    // What is known costs no write.
    expect(name(255, 'liar')).toBeUndefined()
    expect(name(0, 'hub')).toBeUndefined()
    expect(admits(fences, 'agent:own', 9)).toBe(true)
    ms += 1_000
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8].filter((n) => name(1_000 + n, 'liar') === undefined)).toHaveLength(8)
  })

  it('is remembered for no more than its share, also over restarts', () => {
    for (const of of ['x', 'y']) {
      using fences = open()
      floods(fences, 'liar', of)
    }
    const db = new DatabaseSync(join(directory, 'fences.db'))
    const count = (table: string) => Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n'])
    expect([count('fence'), count('named')]).toEqual([512, 512])
    db.close()
  })

  it('what an older version has kept is of this device', () => {
    {
      using fences = open()
      admits(fences, 'agent:a', 5)
    }
    const db = new DatabaseSync(join(directory, 'fences.db'))
    db.exec('DROP TABLE named')
    db.close()
    using fences = open()
    expect(admits(fences, 'agent:a', 4)).toBe(false)
    expect(fences.refusal('agent:a', 5, { device: 'hub' })).toBeUndefined()
  })
})

describe('where the disk cannot be used', () => {
  it('no agent commands, and the line says why', () => {
    writeFileSync(join(directory, 'file'), '')
    using fences = new Fences({ clock, log: silentLog }, join(directory, 'file'))
    expect(fences.refusal('agent:a', 1)).toContain(
      'which copy of agent:a may command is not known: cannot use',
    )
  })

  it('a file that is none is put aside, and fences begin anew', () => {
    writeFileSync(join(directory, 'fences.db'), 'x'.repeat(4_096))
    using fences = open()
    expect(admits(fences, 'agent:a', 1)).toBe(true)
  })
})

describe('an entity', () => {
  it('refuses a copy of an agent that was replaced, and nobody else, and keeps who named it first [things-8] [things-14]', async () => {
    using fences = open()
    const home = await openSimHome()
    const actuation = new Actuation({ clock: home.clock, registry: home.registry, fence: fences })
    for (const actuator of home.board.actuators) actuation.attach(actuator)
    const command = (principal: string, state: string, token?: number) =>
      home.clock.run(() =>
        actuation.run(
          { entity: 'light.hall', command: { state }, principal, ...(token === undefined ? {} : { token }) },
          home.signal,
        ),
      )
    expect(await command('agent:a', 'on', 2)).toMatchObject({ outcome: 'done' })
    expect(await command('agent:a', 'off', 1)).toMatchObject({
      outcome: 'refused',
      evidence: { attempts: 0, reason: expect.stringContaining('goes on elsewhere') },
    })
    expect(home.registry.get('light.hall')?.telemetry.state).toBe('on')
    expect(await command('user', 'off')).toMatchObject({ outcome: 'done' })
    expect(await command('agent:b', 'on', 1)).toMatchObject({ outcome: 'done' })
    expect(await command('agent:b@hub', 'off', 2)).toMatchObject({ outcome: 'done' })
    expect(await command('agent:c@hub', 'on', 2)).toMatchObject({ outcome: 'done' })
    fences[Symbol.dispose]()
    using db = new DatabaseSync(join(directory, 'fences.db'))
    const named = db.prepare('SELECT principal, device, alone FROM named ORDER BY principal').all()
    expect(named.map(({ principal, device, alone }) => [principal, device, alone])).toEqual([
      ['agent:a', '', 1],
      ['agent:b', '', 0],
      ['agent:c', 'hub', 1],
    ])
  })

  it('refuses a holder that another has followed: heard of, or having commanded before a restart [things-10]', async () => {
    const home = await openSimHome()
    const commandUnder = async (token: number, highest: number) => {
      using fences = open()
      const { clock, registry, signal } = home
      const actuation = new Actuation({ clock, registry, fence: fences, leaseToken: () => highest })
      for (const actuator of home.board.actuators) actuation.attach(actuator)
      const lease = { name: 'hall', token }
      const request = { entity: 'light.hall', command: { state: 'on' }, principal: `agent:${token}`, lease }
      return home.clock.run(() => actuation.run(request, signal))
    }
    expect(await commandUnder(5, 5)).toMatchObject({ outcome: 'done' })
    expect(await commandUnder(5, 6)).toMatchObject({
      outcome: 'refused',
      evidence: { attempts: 0, reason: 'hall has another holder by now: its token is 6, not 5' },
    })
    expect(await commandUnder(7, 7)).toMatchObject({ outcome: 'done' })
    expect(await commandUnder(6, 0)).toMatchObject({
      outcome: 'refused',
      evidence: { reason: expect.stringContaining('lease:hall goes on elsewhere') },
    })
    // Nobody told of this one: whoever says it shuts no later holder out.
    expect(await commandUnder(9e15, 7)).toMatchObject({ outcome: 'done' })
    expect(await commandUnder(8, 8)).toMatchObject({ outcome: 'done' })
  })
})
