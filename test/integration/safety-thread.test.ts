/** The safety thread under a control loop that is blocked, and a thread that crashes or stands still: in real processes. */
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { SafetyStatus } from '../../hal/contract/safety.ts'
import { SafetyThread } from '../../hal/safety/thread-port.ts'
import { DeviceProcess, guardOf, PinFolder, pump, until } from '../fixtures/safety/bench-of-pins.ts'
import { type LogLine, realHost } from '../fixtures/safety/real-host.ts'

interface Blocked {
  readonly fromMs: number
  readonly untilMs: number
}

const { signal } = new AbortController()

/** Opens a thread in this process over a folder of pins. */
async function openHere(folder: PinFolder, lines: LogLine[] = [], config = {}): Promise<SafetyThread> {
  process.env['GANGLION_TEST_IO'] = folder.dir
  return SafetyThread.open({ host: realHost(lines) }, folder.plan([pump()], config), signal)
}

async function turnOn(thread: SafetyThread): Promise<void> {
  const lease = await thread.acquire({ components: ['switch.pump'], principal: 'user', ttlMs: 60_000 })
  const meta = { id: '1', principal: 'user', ttlMs: 5_000, lease: { id: lease.id, sequence: 1 } }
  await thread.command('switch.pump', { state: 'on' }, meta, signal)
}

describe('while the main thread is blocked', () => {
  test('a lease that expires drives its output safe [safety-1]', async () => {
    using folder = new PinFolder()
    await using device = await DeviceProcess.start(folder)
    await device.ask({ what: 'open', plan: folder.plan([pump()], { silenceMsMax: 60_000 }) })
    await device.ask({ what: 'on', component: 'switch.pump', ttlMs: 300 })
    const { fromMs, untilMs } = await device.ask<Blocked>({ what: 'block', ms: 2_000 })
    const off = folder.writes().find(({ atMs, levels }) => atMs > fromMs && levels[11] === 0)
    expect(off?.atMs).toBeLessThan(untilMs)
    await device.ask({ what: 'close' })
  })

  test('silence longer than its limit drives everything safe, whatever lease is left [safety-1]', async () => {
    using folder = new PinFolder()
    await using device = await DeviceProcess.start(folder)
    await device.ask({ what: 'open', plan: folder.plan([pump()], { silenceMsMax: 400 }) })
    await device.ask({ what: 'on', component: 'switch.pump', ttlMs: 600_000 })
    const { fromMs, untilMs } = await device.ask<Blocked>({ what: 'block', ms: 2_000 })
    const off = folder.writes().find(({ atMs, levels }) => atMs > fromMs && levels[11] === 0)
    expect(off?.atMs).toBeLessThan(untilMs)
    const status = await device.ask<SafetyStatus>({ what: 'status' })
    expect(status.leases).toEqual([])
    await device.ask({ what: 'close' })
    expect(folder.audit().filter(({ what }) => what === 'silence').length).toBeGreaterThan(0)
  })
})

describe('when the thread itself', () => {
  test('crashes, it goes safe, commands fail, and it comes back safe and without its leases [safety-9]', async () => {
    using folder = new PinFolder()
    const lines: LogLine[] = []
    await using thread = await openHere(folder, lines)
    await turnOn(thread)
    expect(folder.level(11)).toBe(1)
    const states: string[] = []
    thread.onTelemetry('switch.pump', ({ state }) => states.push(state))
    folder.set('crash', '')
    await until('the part to be unavailable', () => thread.telemetry('switch.pump').state === 'unavailable')
    expect(folder.level(11)).toBe(0)
    await expect(turnOn(thread)).rejects.toMatchObject({ code: 'not-present' })
    folder.set('crash', undefined)
    const back = async () => {
      await until('the part to be back', () => thread.telemetry('switch.pump').state === 'off')
      const { leases } = await thread.status()
      await turnOn(thread)
      return leases
    }
    // A thread that had begun before the pin was cleared may crash once more.
    expect(await back().catch(back)).toEqual([])
    expect(lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toContain(
      'the safety thread crashed',
    )
    expect(folder.level(11)).toBe(1)
    await until('the audit', () => folder.audit().some(({ what }) => what === 'stalled'))
  })

  test('stands still, it is ended and started again [safety-9]', async () => {
    using folder = new PinFolder()
    await using thread = await openHere(folder)
    await turnOn(thread)
    const status = new Promise<SafetyStatus>((resolve) => {
      thread.onChange((changed) => {
        if (!changed.armed) resolve(changed)
      })
    })
    folder.set('hang', '')
    expect((await status).notArmedBecause.join()).toMatch(/no sign of life/)
    folder.set('hang', undefined)
    await until('the part to be back', () => thread.telemetry('switch.pump').state === 'off')
    expect(folder.level(11)).toBe(0)
  })

  test('is in a system call that does not return, the process ends and the guard takes over [safety-9]', async () => {
    using folder = new PinFolder()
    await using device = await DeviceProcess.start(folder)
    await device.ask({ what: 'open', plan: folder.plan([pump()]) })
    await device.ask({ what: 'on', component: 'switch.pump', ttlMs: 60_000 })
    const ended = once(device.child, 'exit')
    folder.set('native', String(device.child.pid))
    expect((await ended)[1]).toBe('SIGKILL')
    await until('another process to drive it safe', () => folder.level(11) === 0)
    expect(folder.lastWrite(11)?.pid).not.toBe(device.child.pid)
  })

  test('is gone when everything is closed, a program of its own drives outputs safe [safety-9]', async () => {
    using folder = new PinFolder()
    const lines: LogLine[] = []
    const thread = await openHere(folder, lines)
    await turnOn(thread)
    folder.set('hang', '')
    await until('the part to be unavailable', () => thread.telemetry('switch.pump').state === 'unavailable')
    expect(folder.level(11)).toBe(1)
    const closed = thread[Symbol.asyncDispose]()
    folder.set('hang', undefined)
    await closed
    expect(folder.level(11)).toBe(0)
    expect(folder.lastWrite(11)?.pid).not.toBe(process.pid)
    expect(folder.safetyFile('make-safe.json')).toBeUndefined()
  })

  test('cannot drive everything safe when it is closed, the guard gets no goodbye [safety-9]', async () => {
    using folder = new PinFolder()
    const lines: LogLine[] = []
    const thread = await openHere(folder, lines)
    await turnOn(thread)
    folder.set('fail', '')
    await thread[Symbol.asyncDispose]()
    expect(lines.at(-1)?.message).toBe('not every output was driven safe; the guard takes over')
    expect(folder.safetyFile('make-safe.json')).toBeDefined()
    expect(folder.audit().map(({ message }) => message)).toContain('not every output could be driven safe')
    const guard = guardOf(folder.safetyDir, process.pid)
    expect(guard).toBeDefined()
    if (guard !== undefined) process.kill(guard, 'SIGKILL')
  })

  test('is closed, every output is safe before it says so', async () => {
    using folder = new PinFolder()
    const thread = await openHere(folder)
    await turnOn(thread)
    await thread[Symbol.asyncDispose]()
    expect(folder.level(11)).toBe(0)
    await expect(turnOn(thread)).rejects.toMatchObject({ code: 'closed' })
  })
})

test("a second process over the same safety directory is refused, and leaves the first its guard's plan", async () => {
  using folder = new PinFolder()
  await using _thread = await openHere(folder)
  const plan = folder.safetyFile('make-safe.json')
  await expect(openHere(folder)).rejects.toMatchObject({ code: 'busy' })
  expect(folder.safetyFile('make-safe.json')).toBe(plan)
})

test('a start that fails leaves the plan of a run that crashed [safety-10]', async () => {
  using folder = new PinFolder()
  await using device = await DeviceProcess.start(folder)
  await device.ask({ what: 'open', plan: folder.plan([pump()]) })
  await device.kill()
  const plan = folder.safetyFile('make-safe.json')
  process.env['GANGLION_TEST_IO'] = folder.dir
  const wrong = folder.plan([{ ...pump(), driver: 'relais' }])
  await expect(SafetyThread.open({ host: realHost() }, wrong, signal)).rejects.toThrow(/relais/)
  expect(folder.safetyFile('make-safe.json')).toBe(plan)
  await until('the guard', () => folder.audit().some(({ what }) => what === 'made-safe'))
})

test('a safety directory that cannot be written is refused in one line that names it', async () => {
  using folder = new PinFolder()
  folder.set('safety', 'a file where the directory should be')
  await expect(openHere(folder)).rejects.toThrow(`safety needs to write to ${folder.safetyDir}: `)
  expect(folder.level(11)).not.toBe(1)
})

test('a plan that cannot be kept is refused in one line', async () => {
  using folder = new PinFolder()
  process.env['GANGLION_TEST_IO'] = folder.dir
  const plan = folder.plan([{ ...pump(), driver: 'relais' }])
  await expect(SafetyThread.open({ host: realHost() }, plan, signal)).rejects.toThrow(
    /^pump: there is no actuator driver "relais"$/,
  )
})

test('more commands under way than are allowed are refused as busy', async () => {
  using folder = new PinFolder()
  await using thread = await openHere(folder)
  const asked = Array.from({ length: 200 }, () =>
    thread.status().then(
      () => 'answered',
      (error) => error.code,
    ),
  )
  const outcomes = await Promise.all(asked)
  expect(outcomes).toContain('busy')
  expect(outcomes).toContain('answered')
})
