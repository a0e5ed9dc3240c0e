/** Commands that expire: what goes back when nobody commands it again. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../runtime/base/log.ts'
import type { AuditEntry } from '../../../runtime/observe/audit-chain.ts'
import { Actuation, type ActuationRequest } from '../../../runtime/things/actuation.ts'
import { Expiries } from '../../../runtime/things/expiries.ts'
import { openSimHome } from '../../fixtures/sim-home.ts'

const [second, minute] = [1_000, 60_000]
const valve = 'valve.main'
const fromAgent = { entity: valve, principal: 'agent:comfort' } as const
const open = {
  ...fromAgent,
  command: { state: 'open' },
  expires: { afterMs: 8 * minute, to: { state: 'closed' } },
}

type Home = Awaited<ReturnType<typeof openSimHome>>
let directory: string
let home: Home
const opened: Disposable[] = []
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'expiries-'))
  home = await openSimHome()
  home.sim.set(valve, { state: 'closed' })
})
afterEach(async () => {
  for (const one of opened.splice(0)) one[Symbol.dispose]()
  await home.board[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

/** A device begins, with what is on its disk. */
function begin(path = directory) {
  const told: AuditEntry[] = []
  const expiries = new Expiries(
    { clock: home.clock, log: silentLog, record: async (entry) => void told.push(entry) },
    path,
  )
  const actuation = new Actuation({ clock: home.clock, registry: home.registry, expiries })
  for (const actuator of home.board.actuators) actuation.attach(actuator)
  expiries.begin(actuation)
  opened.push(expiries)
  const run = (request: ActuationRequest) => home.clock.run(() => actuation.run(request, home.signal))
  return { told, run, expiries }
}
const state = () => home.sim.truth(valve).state
/** Commands need promises to go on between the instants. */
async function passes(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5 * second) {
    home.clock.advance(5 * second)
    for (let at = 0; at < 20; at += 1) await Promise.resolve()
  }
}

describe('a command that expires', () => {
  it('goes back when it is not said again in time, and that is told [things-11]', async () => {
    const { run, told } = begin()
    expect((await run(open)).outcome).toBe('done')
    await passes(6 * minute)
    expect((await run(open)).outcome).toBe('done')
    await passes(7 * minute)
    expect(state()).toBe('open')
    expect(told).toEqual([])
    await passes(3 * minute)
    expect(state()).toBe('closed')
    expect(told).toEqual([{ kind: 'expired', principal: 'agent:comfort', about: valve, outcome: 'done' }])
  })

  it('goes back after a restart, at its time or at once when that is over [things-11]', async () => {
    for (const awayMs of [2 * minute, 60 * minute]) {
      const first = begin()
      await first.run(open)
      first.expiries[Symbol.dispose]()
      home.clock.advance(awayMs)
      begin()
      await passes(minute)
      expect(state()).toBe(awayMs < 8 * minute ? 'open' : 'closed')
      await passes(8 * minute)
      expect(state()).toBe('closed')
    }
  })

  it('is forgotten when anybody commands the entity later [things-12]', async () => {
    const { run, told } = begin()
    await run(open)
    await run({ entity: valve, principal: 'user', command: { position: 50 } })
    await passes(20 * minute)
    expect(state()).toBe('open')
    expect(told).toEqual([])
    begin()
    await passes(20 * minute)
    expect(state()).toBe('open')
  })

  it('is tried again and told as often while the thing does not go back [things-13]', async () => {
    const { run, told } = begin()
    await run(open)
    home.sim.fault(valve, { kind: 'stuck' })
    await passes(15 * minute)
    expect(state()).toBe('open')
    expect(told.length).toBeGreaterThan(1)
    expect(told.every((entry) => entry['outcome'] === 'failed')).toBe(true)
    home.sim.fault(valve, undefined)
    await passes(20 * minute)
    expect(state()).toBe('closed')
    expect(told.at(-1)?.['outcome']).toBe('done')
  })

  it('is not done where it cannot be kept [things-11]', async () => {
    const path = join(directory, 'file')
    writeFileSync(path, '')
    const { run } = begin(path)
    const report = await run(open)
    expect(report).toMatchObject({ outcome: 'refused', evidence: { attempts: 0 } })
    expect(report.evidence.reason).toMatch(/^that it is for a while only cannot be kept, so it is not done: /)
    expect(state()).toBe('closed')
  })
})
