/** What a name is worth: nothing by itself, with a PIN a person, with the device's own key somebody at the device. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { People } from '../../../../runtime/agent/permissions/people.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { hashPassword } from '../../../../runtime/base/password.ts'
import { signedParts } from '../../../../runtime/wire/agents.ts'
import { localBytes } from '../../../../runtime/wire/person.ts'

let directory: string
let identity: Identity
let pin: string
let clock: VirtualClock
let people: People
let stateDir: string
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'people-'))
  identity = Identity.open('hub', directory)
  pin = await hashPassword('2468')
})
afterAll(() => rmSync(directory, { recursive: true }))
beforeEach(() => {
  clock = new VirtualClock()
  stateDir = mkdtempSync(join(directory, 'state-'))
  people = start()
})
/** As after a restart. */
const start = (configured = [{ name: 'Ada', pin }]) =>
  new People({ clock, log: silentLog, identity }, { people: configured, stateDir })
const what = ['approve', 'a1', 'yes']
const signed = (more: readonly string[] = what, by = 'root', atMs = clock.nowMs(), key = identity) => ({
  by,
  local: { atMs, sig: key.sign(localBytes('hub', by, atMs, more)).toString('base64') },
})

describe('who asks', () => {
  it('[people-1] is a claim where nothing proves it, also of a name that the device knows', async () => {
    const claimed = await people.whoIs({ by: 'Ada' }, what)
    expect(claimed).toEqual({ shown: 'claimed:Ada', proven: false })
    expect(() => people.require(claimed)).toThrow('only a person of this device may: Ada')
    expect(() => start([]).require(claimed)).not.toThrow()
  })
  it('[people-1] is not a claim where the gateway asks for more, also on a device that knows nobody', async () => {
    const nobody = start([])
    const forged = { ...signed(), by: 'Ada' }
    expect(() => nobody.require({ shown: 'claimed:Ada', proven: false }, { prove: true })).toThrow(
      'of this household',
    )
    const asked = { ...forged, prove: true }
    await expect(nobody.whoIs(asked, what).then((one) => nobody.require(one, asked))).rejects.toThrow()
    expect(() => nobody.require({ shown: 'local:root', proven: true }, { prove: true })).not.toThrow()
  })
  it('is a person with their own PIN, and with no other', async () => {
    const ada = await people.whoIs({ by: 'Ada', pin: '2468' }, what)
    expect(ada).toEqual({ shown: 'Ada', proven: true })
    expect(() => people.require(ada)).not.toThrow()
    await expect(people.whoIs({ by: 'Ada', pin: '1357' }, what)).rejects.toThrow('not the PIN of Ada')
    await expect(people.whoIs({ by: 'Eve', pin: '2468' }, what)).rejects.toThrow('Eve is no person')
  })
  it('[people-2] is refused for a while after five wrong PINs, with the right one too, and longer each time', async () => {
    const attempt = (value: string) => people.whoIs({ by: 'Ada', pin: value }, what)
    // Also where all come at once.
    const wrong = Array.from({ length: 7 }, (_, at) => attempt(`000${at}`).catch((error) => error.code))
    expect(await Promise.all(wrong)).toEqual([...Array(5).fill('wrong'), 'wait', 'wait'])
    await expect(attempt('2468')).rejects.toThrow('try again in 30 s')
    clock.advance(30_000)
    await expect(attempt('1111')).rejects.toThrow('not the PIN')
    clock.advance(59_000)
    await expect(attempt('2468')).rejects.toThrow('try again in 1 s')
    clock.advance(1_000)
    expect((await attempt('2468')).proven).toBe(true)
    await expect(attempt('1111')).rejects.toThrow('not the PIN')
    expect((await attempt('2468')).proven).toBe(true)
  })
  it('[people-4] has no new guesses after a restart, and waits as long as before', async () => {
    const attempt = (value: string) => people.whoIs({ by: 'Ada', pin: value }, what)
    for (const wrong of ['0000', '0001', '0002', '0003']) {
      await expect(attempt(wrong)).rejects.toThrow('not the PIN')
      people = start()
    }
    await expect(attempt('0004')).rejects.toThrow('not the PIN')
    clock.advance(10_000)
    people = start()
    await expect(attempt('2468')).rejects.toThrow('try again in 20 s')
    clock.advance(20_000)
    // The next one locks it for longer, also if it came before the restart.
    await expect(attempt('0005')).rejects.toThrow('not the PIN')
    // A board without a battery begins in the past: it is no longer than it was.
    clock = new VirtualClock({ startMs: clock.nowMs() - 86_400_000 })
    people = start()
    await expect(attempt('2468')).rejects.toThrow('try again in 60 s')
    clock.advance(60_000)
    expect((await attempt('2468')).proven).toBe(true)
    people = start()
    for (const wrong of ['0000', '0001', '0002', '0003'])
      await expect(attempt(wrong)).rejects.toThrow('not the PIN')
    expect((await attempt('2468')).proven).toBe(true)
    const kept = readFileSync(join(stateDir, 'pin-guesses.json'), 'utf8')
    expect(kept).not.toContain('scrypt')
  })
  it('[people-4] is counted before it is looked at: a kill in between gives no guess, and a full disk none at all', async () => {
    const attempts = ['0000', '0001', '0002', '0003', '0004'].map((value) =>
      people.whoIs({ by: 'Ada', pin: value }, what).catch((error) => error.code),
    )
    const kept = () => {
      const file = join(stateDir, 'pin-guesses.json')
      return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).people.Ada.wrong : 0
    }
    // None was answered when it is on the disk.
    let answered = 0
    for (const attempt of attempts) void attempt.then(() => (answered += 1))
    while (answered < attempts.length) {
      expect(kept()).toBeGreaterThanOrEqual(answered)
      await new Promise((resolve) => setImmediate(resolve))
    }
    stateDir = join(stateDir, 'is-gone')
    people = start()
    await expect(people.whoIs({ by: 'Ada', pin: '2468' }, what)).rejects.toThrow('no PIN can be looked at')
  })
  it('[people-4] has one guess left where nobody can read how many there were, and all with another PIN', async () => {
    writeFileSync(join(stateDir, 'pin-guesses.json'), '{"v":1,"peo')
    const attempt = (value: string) => people.whoIs({ by: 'Ada', pin: value }, what)
    await expect(attempt('0000')).rejects.toThrow('not the PIN')
    await expect(attempt('2468')).rejects.toThrow('try again in 30 s')
    people = start([{ name: 'Ada', pin: await hashPassword('1357') }])
    expect((await attempt('1357')).proven).toBe(true)
  })
  it('[people-4] has one guess left also where another was the first to try after that', async () => {
    writeFileSync(join(stateDir, 'pin-guesses.json'), '{"v":1,"peo')
    const configured = [
      { name: 'Ada', pin },
      { name: 'Bob', pin },
    ]
    people = start(configured)
    await people.whoIs({ by: 'Bob', pin: '2468' }, what)
    people = start(configured)
    await expect(people.whoIs({ by: 'Ada', pin: '0000' }, what)).rejects.toThrow('not the PIN')
    await expect(people.whoIs({ by: 'Ada', pin: '2468' }, what)).rejects.toThrow('try again in 30 s')
    // Who is configured no more is not kept.
    people = start([{ name: 'Bob', pin }])
    await people.whoIs({ by: 'Bob', pin: '2468' }, what)
    const kept = JSON.parse(readFileSync(join(stateDir, 'pin-guesses.json'), 'utf8'))
    expect(Object.keys(kept.people)).toEqual(['Bob'])
  })
  it('[people-3] is somebody at the device who signed this request, just now, once', async () => {
    const request = signed()
    expect(await people.whoIs(request, what)).toEqual({ shown: 'local:root', proven: true })
    await expect(people.whoIs(request, what)).rejects.toThrow('at another time')
    await expect(people.whoIs(signed(what, 'root', clock.nowMs() - 60_001), what)).rejects.toThrow()
    expect(await people.whoIs(signed(), ['approve', 'a2', 'yes'])).toEqual({
      ...{ shown: 'claimed:root', proven: false },
    })
    expect(await people.whoIs({ ...signed(), by: 'Ada' }, what)).toMatchObject({ proven: false })
    const other = Identity.open('hub', join(directory, 'other'))
    expect(await people.whoIs(signed(what, 'root', clock.nowMs(), other), what)).toMatchObject({
      ...{ proven: false },
    })
  })
  it('[people-3] is nobody who shows a signature again: not with its bytes written otherwise, not after a restart', async () => {
    const request = signed()
    const { atMs, sig } = request.local
    expect((await people.whoIs(request, what)).proven).toBe(true)
    // Base64 leaves four bits of its last character unused: 16 texts are the same bytes.
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    const last = letters[letters.indexOf(sig.charAt(85)) ^ 1]
    const again = { by: 'root', local: { atMs, sig: `${sig.slice(0, 85)}${last}==` } }
    expect(Buffer.from(again.local.sig, 'base64')).toEqual(Buffer.from(sig, 'base64'))
    await expect(people.whoIs(again, what)).rejects.toThrow('at another time')
    clock.advance(1_000)
    const restarted = start()
    await expect(restarted.whoIs(request, what)).rejects.toThrow('at another time')
    expect((await restarted.whoIs(signed(), what)).proven).toBe(true)
  })
  it('[people-3] has signed what is left as it is, or all of it taken: one is not the other', () => {
    const change = { ask: 'grant', name: 'a', allow: '[]' } as const
    expect(signedParts({ ...change, set: '' })).not.toEqual(signedParts(change))
    // Nothing, and what the policy allows.
    expect(signedParts({ ask: 'run', grants: '' }, 'x')).not.toEqual(signedParts({ ask: 'run' }, 'x'))
  })
})
