/** Both sides of a command to another device, each alone, in virtual time. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { Scheduler } from '../../../../runtime/agent/scheduler/scheduler.ts'
import { sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { Actuation } from '../../../../runtime/things/actuation.ts'
import { Expiries } from '../../../../runtime/things/expiries.ts'
import { Answering, type Unaddressed } from '../../../../runtime/things/remote/answering.ts'
import { Asking } from '../../../../runtime/things/remote/asking.ts'
import { type RemoteCommandBody, remoteCommandBody } from '../../../../runtime/wire/remote-command.ts'
import { openSimHome } from '../../../fixtures/sim-home.ts'

type Ask = Extract<RemoteCommandBody, { kind: 'ask' }>
const ask: Ask = {
  ...{ kind: 'ask', to: 'hub', id: 'a/1/1', at: 1, session: '', agent: 'night-watch', lineage: '', token: 1 },
  ...{ entity: 'light.hall', command: { state: 'on' }, ttlMs: 30_000, resumed: false },
}
const forever = new AbortController().signal
const pass = (clock: VirtualClock, ms: number) => clock.run(() => sleep(clock, ms))

type Home = Awaited<ReturnType<typeof openSimHome>>
async function openAnswering(
  record: () => Promise<void> = async () => {},
  actuationOf = (home: Home) => home.actuation,
) {
  const home = await openSimHome()
  const said: Unaddressed[] = []
  const say = (_to: string, body: Unaddressed) => void said.push(body)
  const { clock, registry } = home
  const scheduler = new Scheduler(clock, { resources: [] })
  const deps = { clock, log: silentLog, registry, actuation: actuationOf(home), scheduler, record, say }
  const answering = new Answering(deps, { remoteCommands: 'same-site', remoteAllow: [] })
  answering.take('attic', ask)
  const [again] = said
  if (again?.kind !== 'again') throw new Error('it does not say its session')
  const { session } = again
  return {
    ...home,
    scheduler,
    said,
    session,
    answering,
    take: (more: Partial<Ask>) => answering.take('attic', { ...ask, session, ...more }),
  }
}

/** Tells whose command is carried out, when it is. */
function noting(actuation: Actuation, note: (principal: string) => void): Actuation {
  return new Proxy(actuation, {
    get(target, key) {
      const value = Reflect.get(target, key, target)
      if (key !== 'run') return typeof value === 'function' ? value.bind(target) : value
      return (...asked: Parameters<Actuation['run']>) => {
        note(asked[0].principal)
        return target.run(...asked)
      }
    },
  })
}

describe('the asked device', () => {
  it('does nothing that it cannot put on record [remote-7]', async () => {
    const full = async () => {
      throw new Error('the disk is full')
    }
    const { clock, said, take, registry } = await openAnswering(full)
    take({ at: 2 })
    await pass(clock, 5_000)
    expect(said.at(-1)).toMatchObject({ kind: 'over', result: { outcome: 'unavailable' } })
    expect(registry.get('light.hall')?.telemetry.state).toBe('off')
  })

  it('has no more than 16 commands of one device under way [remote-8]', async () => {
    const { clock, said, take } = await openAnswering()
    for (let at = 2; at < 2 + 17; at += 1)
      take({ at, id: `a/1/${at}`, entity: 'todo.shopping', command: { action: 'add_item', item: `${at}` } })
    await pass(clock, 1)
    expect(said.at(-1)).toMatchObject({ kind: 'over', id: 'a/1/18', result: { outcome: 'unavailable' } })
  })

  it('keeps places at a thing for its own agents, and for a device that has none, however many others lie [remote-8]', async () => {
    const { clock, scheduler, said, session, answering } = await openAnswering()
    const own = await scheduler.lock('entity light.hall', { agent: 'hog', priority: 'background' }, forever)
    for (const [n, liar] of ['eve', 'mallory', 'trudy', 'oscar', 'sybil'].entries())
      for (let at = 2; at < 18; at += 1)
        answering.take(liar, { ...ask, session, at, id: `${n}/${at}`, ttlMs: 60_000 })
    answering.take('attic', { ...ask, session, at: 2, id: 'honest' })
    const alarm = { agent: 'alarm', priority: 'control' } as const
    await pass(clock, 1)
    const urgent = scheduler.lock('entity light.hall', alarm, forever)
    own.release()
    ;(await urgent).release()
    await pass(clock, 60_000)
    const ended = new Map(said.flatMap((one) => (one.kind === 'over' ? [[one.id, one.result]] : [])))
    expect(ended.get('honest')).toMatchObject({ outcome: 'done' })
    expect(ended.get('3/17')).toMatchObject({
      outcome: 'unavailable',
      reason: expect.stringContaining('commands of other devices wait for it already'),
    })
  })

  it('answers no device more than 50 times a second [remote-8]', async () => {
    const { clock, said, take } = await openAnswering()
    for (let at = 2; at < 500; at += 1) take({ at })
    expect(said.length).toBeLessThanOrEqual(100)
    await pass(clock, 10_000)
    expect(take({ at: 500 })).toBeUndefined()
  })

  it('never takes again what it has forgotten [remote-5]', async () => {
    const { clock, said, take } = await openAnswering()
    for (let at = 2; at < 400; at += 1) {
      take({ at, id: `a/1/${at}`, entity: 'light.nowhere' })
      await pass(clock, 100)
    }
    said.length = 0
    take({ at: 2, id: 'a/1/2', entity: 'light.nowhere' })
    await pass(clock, 100)
    expect(said).toMatchObject([{ kind: 'again', floor: expect.any(Number) }])
  })

  it('has what was commanded for a while go back, whatever became of who asked [things-11]', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'expiring-'))
    await using stack = new AsyncDisposableStack()
    stack.defer(() => rmSync(directory, { recursive: true, force: true }))
    const { clock, take, registry } = await openAnswering(undefined, ({ clock, registry, board }) => {
      const expiries = stack.use(new Expiries({ clock, log: silentLog }, directory))
      const actuation = new Actuation({ clock, registry, expiries })
      for (const actuator of board.actuators) actuation.attach(actuator)
      expiries.begin(actuation)
      return actuation
    })
    const lit = () => registry.get('light.hall')?.telemetry.state
    take({ at: 2, expires: { afterMs: 60_000, to: { state: 'off' } } })
    await pass(clock, 50_000)
    expect(lit()).toBe('on')
    await pass(clock, 20_000)
    expect(lit()).toBe('off')
  })

  it('has commands to one thing wait for each other and for its own agents, the most urgent first, none before its own people [remote-12] [sched-13]', async () => {
    const order: string[] = []
    const { clock, scheduler, take, said } = await openAnswering(undefined, ({ actuation }) =>
      noting(actuation, (principal) => order.push(principal)),
    )
    const background = { agent: 'sweeper', priority: 'background' } as const
    const own = await scheduler.lock('entity light.hall', background, forever)
    take({ at: 2, id: 'a/1/2', agent: 'calm' })
    take({ at: 3, id: 'a/1/3', agent: 'eager', priority: 'interactive', command: { state: 'off' } })
    take({ at: 4, id: 'a/1/4', agent: 'other', entity: 'switch.pump' })
    const alarm = { agent: 'alarm', priority: 'control' } as const
    const urgent = scheduler.lock('entity light.hall', alarm, forever).then((lock) => {
      order.push('agent:alarm')
      lock.release()
    })
    // It says that it is to be served before all people: that is not for its device to say. Due later than the eager one, it is after it.
    take({ at: 5, id: 'a/1/5', agent: 'liar', priority: 'control', ttlMs: 60_000 })
    await pass(clock, 1_000)
    expect(order).toEqual(['agent:other@attic'])
    own.release()
    await urgent
    await pass(clock, 10_000)
    expect(order.slice(1)).toEqual([
      ...['agent:alarm', 'agent:eager@attic', 'agent:liar@attic', 'agent:calm@attic'],
    ])
    const over = said.filter(({ kind }) => kind === 'over')
    expect(over.map(({ id }) => id)).toEqual(['a/1/4', 'a/1/3', 'a/1/5', 'a/1/2'])
    expect(over).toMatchObject(over.map(() => ({ result: { outcome: 'done' } })))
    expect(scheduler.loads()).toMatchObject([{ name: 'locks', used: 0, waiting: 0 }])
  })

  it('answers why, in the time that a command has, where a thing is not to be had: not begun is `unavailable` [remote-12]', async () => {
    const { clock, scheduler, take, said, registry } = await openAnswering()
    const hog = { agent: 'hog', priority: 'background' } as const
    const own = await scheduler.lock('entity light.hall', hog, forever)
    take({ at: 2, id: 'a/1/2', ttlMs: 5_000 })
    take({ at: 3, id: 'a/1/3', ttlMs: 0, resumed: true })
    await pass(clock, 5_001)
    const over = () => said.filter(({ kind }) => kind === 'over')
    expect(over()).toMatchObject([
      {
        id: 'a/1/2',
        result: { outcome: 'unavailable', reason: expect.stringMatching(/^light.hall .*5000 ms/) },
      },
    ])
    // What may have been done before is not known to be undone.
    await pass(clock, 25_000)
    expect(over()[1]).toMatchObject({ id: 'a/1/3', result: { outcome: 'uncertain' } })
    own.release()
    await pass(clock, 60_000)
    expect(registry.get('light.hall')?.telemetry.state).toBe('off')
  })

  it('says so of a command that has no time left', async () => {
    const { clock, take, said, registry } = await openAnswering()
    take({ at: 2, ttlMs: 0 })
    await pass(clock, 5_000)
    const result = { outcome: 'failed', reason: 'the command was worth nothing any more when it came' }
    expect(said.at(-1)).toMatchObject({ kind: 'over', result })
    expect(registry.get('light.hall')?.telemetry.state).toBe('off')
  })

  it('lets a thing go when nobody waits for the command any more [remote-12]', async () => {
    const { clock, scheduler, take, answering, session, registry } = await openAnswering()
    const hog = { agent: 'hog', priority: 'background' } as const
    const own = await scheduler.lock('entity light.hall', hog, forever)
    take({ at: 2, id: 'a/1/2' })
    await pass(clock, 10)
    answering.take('attic', { kind: 'leave', to: 'hub', id: 'a/1/2', at: 3, session })
    own.release()
    await pass(clock, 5_000)
    expect(scheduler.loads()).toMatchObject([{ name: 'locks', used: 0, waiting: 0 }])
    expect(registry.get('light.hall')?.telemetry.state).toBe('off')
  })

  it('refuses another command under an id that it knows', async () => {
    const { take } = await openAnswering()
    expect(take({ at: 2 })).toBeUndefined()
    expect(take({ at: 3, command: { state: 'off' } })).toMatch(/another command/)
  })
})

describe('who asks', () => {
  const open = () => {
    const clock = new VirtualClock()
    const said: Unaddressed[] = []
    const asking = new Asking({ clock, say: (_to, body) => void said.push(body) })
    const request = { ...ask, device: 'hub' }
    return { clock, said, asking, request }
  }

  it('says how long a command lasts', () => {
    const { asking, request, said } = open()
    const expires = { afterMs: 60_000, to: { state: 'off' } }
    void asking.command({ ...request, expires }, forever)
    expect(v.parse(remoteCommandBody, { ...said[0], to: 'hub' })).toMatchObject({ kind: 'ask', expires })
  })

  it('waits no longer than 8 s for a device that never answers: nothing was done [remote-9]', async () => {
    const { clock, asking, request } = open()
    const result = asking.command(request, forever)
    await pass(clock, 15_000)
    expect(await result).toMatchObject({ outcome: 'unavailable' })
  })

  it('says no longer a time than the asked device takes, however long its agent would wait', async () => {
    const { asking, request, said } = open()
    void asking.command({ ...request, ttlMs: 3_600_000 }, forever)
    expect(v.parse(remoteCommandBody, { ...said[0], to: 'hub' })).toMatchObject({ ttlMs: 600_000 })
  })

  it('asks for nothing more under a lease that is gone, and waits for what was begun [lease-13]', async () => {
    const { clock, asking, request, said } = open()
    let isWorthIt = true
    void asking.command({ ...request, isWorthIt: () => isWorthIt }, forever)
    expect(said).toMatchObject([{ ttlMs: 30_000 }])
    isWorthIt = false
    await pass(clock, 1_000)
    expect(said.slice(1)).toMatchObject([{ ttlMs: 0 }])
    expect(v.parse(remoteCommandBody, { ...said[1], to: 'hub' })).not.toHaveProperty('isWorthIt')
  })

  it('does not know how it ended where it was said in a session and no answer comes [remote-10]', async () => {
    const { clock, asking, request, said } = open()
    const result = asking.command(request, forever)
    asking.take('hub', {
      kind: 'again',
      to: 'attic',
      id: request.id,
      at: (said[0] as Ask).at,
      session: 's',
      floor: 0,
    })
    expect(said.at(-1)).toMatchObject({ kind: 'ask', session: 's', resumed: false })
    await pass(clock, 60_000)
    expect(await result).toMatchObject({ outcome: 'uncertain' })
  })

  it('is not driven round by a device that always has another session', async () => {
    const { asking, request, said } = open()
    void asking.command(request, forever)
    for (let turn = 0; turn < 100; turn += 1) {
      const { at } = said.at(-1) as Ask
      asking.take('hub', { kind: 'again', to: 'attic', id: request.id, at, session: `s${turn}`, floor: 0 })
    }
    expect(said.length).toBeLessThan(10)
    expect(said.at(-1)).toMatchObject({ resumed: true })
  })

  it('commands other devices on when one lies about what was said to it last', () => {
    const { asking, request, said } = open()
    void asking.command(request, forever)
    const { at } = said[0] as Ask
    const floor = Number.MAX_SAFE_INTEGER
    asking.take('hub', { kind: 'again', to: 'attic', id: request.id, at, session: 's', floor })
    void asking.command({ ...request, device: 'bath' }, forever)
    expect(Number.isSafeInteger((said.at(-1) as Ask).at)).toBe(true)
  })

  it('says nothing of a command for which nobody waits any more when it comes', async () => {
    const { asking, request, said } = open()
    const result = await asking.command(request, AbortSignal.abort())
    expect(result).toMatchObject({ outcome: 'unavailable' })
    expect(said).toEqual([])
  })

  it('tells the other to leave what nobody waits for any more', async () => {
    const { asking, request, said } = open()
    const stop = new AbortController()
    const result = asking.command(request, stop.signal)
    asking.take('hub', {
      kind: 'again',
      to: 'attic',
      id: request.id,
      at: (said[0] as Ask).at,
      session: 's',
      floor: 0,
    })
    stop.abort()
    expect(await result).toMatchObject({ outcome: 'uncertain' })
    expect(said.at(-1)).toMatchObject({ kind: 'leave', session: 's', id: request.id })
  })
})
