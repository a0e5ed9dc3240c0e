/** Commands that expire: what goes back when nobody commands it again. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Actuator, Command } from '../../../hal/contract/actuator.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import type { AuditEntry } from '../../../runtime/observe/audit-chain.ts'
import { Actuation, type ActuationRequest, type Authority } from '../../../runtime/things/actuation.ts'
import { Expiries } from '../../../runtime/things/expiries.ts'
import { openSimHome, smallHome } from '../../fixtures/sim-home.ts'

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
const end = () => {
  for (const one of opened.splice(0)) one[Symbol.dispose]()
}
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'expiries-'))
  home = await openSimHome()
  home.sim.set(valve, { state: 'closed' })
})
afterEach(async () => {
  end()
  await home.board[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

interface Other {
  readonly path?: string
  readonly authority?: Authority
  /** What is attached in place of an actuator of the home. */
  readonly instead?: (actuator: Actuator) => Actuator
  readonly recorded?: boolean
}

/** A device begins, with what is on its disk; the one before has ended. */
function begin({ path = directory, authority, instead = (same) => same, recorded = true }: Other = {}) {
  end()
  const told: AuditEntry[] = []
  const errors: string[] = []
  const log = { ...silentLog, error: (message: string) => void errors.push(message) }
  const expiries = new Expiries({ clock: home.clock, log }, path)
  const actuation = new Actuation({ clock: home.clock, registry: home.registry, expiries, authority })
  for (const actuator of home.board.actuators) actuation.attach(instead(actuator))
  expiries.begin(actuation)
  const record = async (entry: AuditEntry) => void told.push(entry)
  if (recorded) expiries.recordIn(record)
  opened.push(expiries)
  const run = (request: ActuationRequest) => home.clock.run(() => actuation.run(request, home.signal))
  return { told, errors, run, expiries, record }
}
/** Does `before` each time that a command is handed to it. */
const watched =
  (before: (entity: string, command: Command) => void) =>
  (actuator: Actuator): Actuator => ({
    info: actuator.info,
    current: () => actuator.current(),
    onTelemetry: (listener) => actuator.onTelemetry(listener),
    [Symbol.asyncDispose]: () => actuator[Symbol.asyncDispose](),
    command: async (command, meta, signal) => {
      before(actuator.info.id, command)
      await actuator.command(command, meta, signal)
    },
  })
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
    expect(told).toEqual([
      { kind: 'expired', principal: 'agent:comfort', about: valve, to: { state: 'closed' }, outcome: 'done' },
    ])
  })

  it('goes back after a restart, at its time or at once when that is over [things-11]', async () => {
    for (const awayMs of [2 * minute, 60 * minute]) {
      const first = begin()
      await first.run(open)
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

  it('of a thing that is not in this home is told once, and goes back when it is there again [things-13]', async () => {
    await begin().run(open)
    const withIt = home
    home = await openSimHome(smallHome.replace(/.*valve\.main.*\n/, ''), withIt.clock)
    const { told, errors } = begin()
    await passes(90 * minute)
    expect(told).toEqual([expect.objectContaining({ kind: 'expired', about: valve, outcome: 'refused' })])
    expect(errors).toEqual([])
    await home.board[Symbol.asyncDispose]()
    home = withIt
    const later = begin()
    await passes(10 * second)
    expect(state()).toBe('closed')
    expect(later.told.map((entry) => entry['outcome'])).toEqual(['done'])
  })

  it('is not done where it cannot be kept [things-11]', async () => {
    const path = join(directory, 'file')
    writeFileSync(path, '')
    const { run } = begin({ path })
    const report = await run(open)
    expect(report).toMatchObject({ outcome: 'refused', evidence: { attempts: 0 } })
    expect(report.evidence.reason).toMatch(/^that it is for a while only cannot be kept, so it is not done: /)
    expect(state()).toBe('closed')
  })

  it('goes back although a later command failed, also after a restart [things-12]', async () => {
    for (const restarted of [false, true]) {
      const first = begin()
      await first.run(open)
      home.sim.fault(valve, { kind: 'stuck' })
      expect((await first.run({ ...open, command: { state: 'closed' } })).outcome).toBe('failed')
      expect(
        (await first.run({ entity: valve, principal: 'user', command: { state: 'closed' } })).outcome,
      ).toBe('failed')
      home.sim.fault(valve, undefined)
      expect(state()).toBe('open')
      if (restarted) begin()
      await passes(9 * minute)
      expect(state()).toBe('closed')
    }
  })

  it('goes back after it failed itself: it may have been done too late to be seen [things-12]', async () => {
    const { run } = begin()
    home.sim.fault(valve, { kind: 'stuck' })
    expect((await run(open)).outcome).toBe('failed')
    home.sim.fault(valve, undefined)
    home.sim.set(valve, { state: 'open' })
    await passes(9 * minute)
    expect(state()).toBe('closed')
  })

  it('changes nothing where it is refused [things-12]', async () => {
    let denied = true
    const authority: Authority = {
      grant: async () => {
        if (denied) throw Object.assign(new Error('not now'), { code: 'permission' })
        return undefined
      },
    }
    const { run, told } = begin({ authority })
    // Opened by hand: what was refused does not close it.
    home.sim.set(valve, { state: 'open' })
    expect((await run(open)).outcome).toBe('refused')
    denied = false
    await passes(20 * minute)
    expect([state(), told]).toEqual(['open', []])
    // What was to go back before goes back when it was to.
    await run(open)
    denied = true
    const longer = { ...open, expires: { ...open.expires, afterMs: 60 * minute } }
    expect((await run(longer)).outcome).toBe('refused')
    expect((await run({ entity: valve, principal: 'user', command: { state: 'open' } })).outcome).toBe(
      'refused',
    )
    denied = false
    await passes(9 * minute)
    expect(state()).toBe('closed')
  })

  it('presses what must not be repeated once, also over a restart, and says that it is uncertain [things-13]', async () => {
    for (const restarted of [false, true]) {
      const pressed: string[] = []
      const instead = watched((entity) => pressed.push(entity))
      const door = { entity: 'cover.garage', principal: 'agent:comfort', command: { state: 'open' } }
      home.sim.set(door.entity, { state: 'closed' })
      let device = begin({ instead })
      const report = await device.run({ ...door, expires: { afterMs: 8 * minute, to: { state: 'closed' } } })
      expect([report.outcome, pressed.length]).toEqual(['done', 1])
      home.sim.fault(door.entity, { kind: 'stuck' })
      await passes(8 * minute)
      expect(pressed).toHaveLength(2)
      if (restarted) device = begin({ instead })
      await passes(90 * minute)
      expect(pressed).toHaveLength(2)
      expect(device.told.map((entry) => entry['outcome'])).toEqual(
        restarted ? ['uncertain'] : ['failed', 'uncertain'],
      )
      expect(device.errors.at(-1)).toContain('whether it went back is not known')
      home.sim.fault(door.entity, undefined)
      const { told } = begin({ instead })
      await passes(5 * minute)
      expect([pressed.length, told]).toEqual([2, []])
    }
  })

  it('is done once by itself where telemetry shows it meanwhile [things-13]', async () => {
    const { run, told } = begin()
    const lock = { entity: 'lock.front', principal: 'agent:comfort', command: { state: 'locked' } }
    await run({ ...lock, expires: { afterMs: minute, to: { state: 'unlocked' } } })
    home.sim.fault(lock.entity, { kind: 'stuck' })
    await passes(80 * second)
    home.sim.fault(lock.entity, undefined)
    home.sim.set(lock.entity, { state: 'unlocked' })
    await passes(5 * minute)
    expect(told.map((entry) => entry['outcome'])).toEqual(['failed', 'done'])
  })

  it.each([[{ state: 'ajar' }], [{}], [{ colour: 'red' }]])(
    'is refused where it goes back to what the kind does not know: %j [actuation-2]',
    async (to) => {
      const { run } = begin()
      const { outcome, evidence } = await run({ ...open, expires: { afterMs: minute, to } })
      expect(outcome).toBe('refused')
      expect(evidence.reason).toMatch(/^expires\.to: valve\.main: /)
      expect(state()).toBe('closed')
    },
  )

  it('is recorded when there is something to record in, or the log says that there is none [things-13]', async () => {
    const first = begin()
    await first.run(open)
    const second = begin({ recorded: false })
    await passes(9 * minute)
    expect(second.told).toEqual([])
    second.expiries.recordIn(second.record)
    expect(second.told).toMatchObject([{ kind: 'expired', about: valve, outcome: 'done' }])
    await second.run(open)
    second.expiries.recordIn(undefined)
    await passes(9 * minute)
    expect(second.told).toHaveLength(1)
    expect(second.errors).toEqual(['what expired is not recorded'])
  })

  it('is tried again where a driver fails in a way that nobody foresaw [things-13]', async () => {
    let broken = true
    const instead = watched((_, { state: to }) => {
      if (broken && to === 'closed') throw new TypeError('undefined is not a function')
    })
    const { run, told } = begin({ instead })
    await run(open)
    await passes(9 * minute)
    expect(told.map((entry) => entry['outcome'])).toContain('failed')
    broken = false
    await passes(20 * minute)
    expect(told.at(-1)?.['outcome']).toBe('done')
    expect(state()).toBe('closed')
  })
})
