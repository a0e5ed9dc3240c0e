/**
 * Three devices of one simulated home, as processes over a real broker, with a comfort agent each: they agree on who may run the one
 * heat pump, go on when one is killed, and take it in again when it comes back.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DecisionView, EntitiesAnswer } from '../../runtime/wire/http.ts'
import { childrenOf, ganglionMain, isAlive, openHub, until } from '../fixtures/hub.ts'

/** On a slow machine that has much else to do. */
const limitMs = 120_000
const agentFile = fileURLToPath(new URL('../../runtime/agents/comfort.agent.ts', import.meta.url))

/** The shipped agent with a round every four seconds for every five minutes, and as much less patience. */
function hastyAgent(directory: string): string {
  const text = readFileSync(agentFile, 'utf8')
  const hasty = text
    .replace('roundMs: 5 * minuteMs', 'roundMs: 4_000')
    .replaceAll("within: '20s'", "within: '3s'")
    .replace("'../agent/contract.ts'", "'ganglion'")
  if (hasty.split("within: '3s'").length < 3 || !hasty.includes('roundMs: 4_000'))
    throw new Error('it is written otherwise now')
  const file = join(directory, 'comfort.ts')
  writeFileSync(file, hasty)
  return file
}

describe('three comfort agents', () => {
  const stack = new AsyncDisposableStack()
  const devices = ['room-1', 'room-2', 'room-3'] as const
  const areas = ['living_room', 'bedroom', 'office'] as const
  const processes = new Map<string, ChildProcess>()
  let directory: string
  let http: string

  async function start(name: string, ...args: string[]): Promise<Record<string, string>> {
    const child = spawn(
      process.execPath,
      [ganglionMain, ...args, '--json', '--state-dir', join(directory, name)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    processes.set(name, child)
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended`)))
    ended.catch(() => {})
    const line = once(createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }), 'line')
    const [text] = (await Promise.race([line, ended])) as [string]
    return JSON.parse(text)
  }
  const startDevice = (part: number) => {
    const share = `${part}/3:${join(directory, 'home')}`
    return start(
      `room-${part}`,
      ...[
        'device',
        '--first-home',
        '--no-voice',
        '--gateway',
        http,
        '--id',
        `room-${part}`,
        '--share',
        share,
      ],
    )
  }
  async function kill(name: string): Promise<void> {
    const child = processes.get(name)
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  const get = async <T>(path: string): Promise<T> => (await (await fetch(`${http}${path}`)).json()) as T
  const decisions = async () => (await get<{ decisions: DecisionView[] }>('/api/decisions')).decisions
  /** Rooms whose valve is not closed, as far as they can be reached. */
  const open = async (): Promise<string[]> => {
    const { entities } = await get<EntitiesAnswer>('/api/entities')
    return areas.filter((area) =>
      entities.some(
        ({ id, state, available }) => id === `valve.${area}_heating` && available && state === 'open',
      ),
    )
  }
  const pump = async () =>
    (await get<EntitiesAnswer>('/api/entities')).entities.find(({ id }) => id === 'climate.heat_pump')?.state
  /** A thermometer that says so, whatever is true. */
  async function shows(area: string, device: string, state: string): Promise<void> {
    const response = await fetch(`${http}/api/entities/sensor.${area}_temperature/fault`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ device, fault: { kind: 'lying', telemetry: { state } } }),
    })
    expect(response.status).toBe(200)
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'comfort-'))
    stack.defer(() => rmSync(directory, { recursive: true, force: true }))
    stack.defer(async () => {
      for (const name of processes.keys()) await kill(name)
    })
    const ready = await start('gateway', 'gateway', '--http-port', '0', '--mqtt-port', '0')
    http = ready['http'] as string
    for (const part of [1, 2, 3]) await startDevice(part)
    // The pump's own device is the one that is not killed: its room is warm, so it never asks.
    await shows('living_room', 'room-1', '23.0')
    const file = hastyAgent(directory)
    for (const device of devices) {
      const as = `comfort-${device}`
      const args = [
        ganglionMain,
        'agent',
        'run',
        file,
        '--as',
        as,
        '--grant',
        'all',
        '--device',
        device,
        '--url',
        http,
      ]
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: limitMs })
      expect(status, stderr).toBe(0)
    }
  }, 4 * limitMs)
  afterAll(() => stack.disposeAsync())

  test('agree on one, which runs the pump of another device and opens its valve', async () => {
    await until(
      'a heated room',
      async () => (await open()).length === 1 && (await pump()) === 'heat',
      limitMs,
    )
    await until(
      'a decision of all three',
      async () =>
        (await decisions()).some(
          ({ decided, subject, toldBy }) => decided && subject === 'heat-pump' && toldBy.length === 3,
        ),
      limitMs,
    )
  })

  test(
    'go on when the one that heats is killed: the other takes the pump, and nobody else has it',
    async () => {
      let victim: string | undefined
      const look = async () => {
        victim = (await open())[0]
        return victim !== undefined
      }
      await until('a heated room', look, limitMs)
      const [victimArea, otherArea] =
        victim === 'bedroom' ? (['bedroom', 'office'] as const) : (['office', 'bedroom'] as const)
      const at = areas.indexOf(victimArea)
      await kill(`room-${at + 1}`)
      const killedMs = Date.now()
      await until('the other room to be heated', async () => (await open()).includes(otherArea), limitMs)
      expect(await open()).toEqual([otherArea])
      expect(await pump()).toBe('heat')
      const alone = (await decisions()).filter(
        ({ atMs, toldBy }) => atMs > killedMs + 1_000 && !toldBy.includes(`room-${at + 1}`),
      )
      expect(alone.some(({ decided, winner }) => decided && winner !== `room-${at + 1}`)).toBe(true)

      await startDevice(at + 1)
      const backMs = Date.now()
      await until(
        'a decision of all three again',
        async () =>
          (await decisions()).some(
            ({ decided, atMs, toldBy }) => decided && atMs > backMs && toldBy.length === 3,
          ),
        limitMs,
      )
      // It goes on where it was: cold, and the other is warm now.
      await shows(otherArea, `room-${areas.indexOf(otherArea) + 1}`, '23.0')
      await until('its room to be heated again', async () => (await open()).join() === victimArea, limitMs)
    },
    4 * limitMs,
  )
})

describe('a hub of three devices', () => {
  test(
    'starts them with a share of the home each, brings back one that dies while the others go on, and ends them all',
    async () => {
      await using hub = await openHub(['--devices', '3', '--no-voice', '--no-demo'])
      const { devices } = hub.ready as unknown as { devices: string[] }
      expect(devices).toHaveLength(3)
      const [first, second, third] = devices as [string, string, string]
      const entitiesOf = (device: string) => {
        const { entities } = JSON.parse(hub.run('entities', '--json', '--device', device).stdout)
        return (entities as { id: string; simulated: boolean }[])
          .filter(({ simulated }) => simulated)
          .map(({ id }) => id)
      }
      expect(entitiesOf(first)).toContain('climate.heat_pump')
      expect(entitiesOf(second)).toContain('valve.bedroom_heating')
      expect(entitiesOf(second)).not.toContain('climate.heat_pump')
      expect(hub.run('entities', '--device', 'nobody')).toMatchObject({
        status: 2,
        stderr: expect.stringContaining(third),
      })
      expect(hub.run('say', 'turn on the office light').stderr).toContain('several devices are online')
      expect(hub.run('say', '--device', third, 'turn on the office light').status).toBe(0)

      const children = childrenOf(hub.process.pid)
      expect(children).toHaveLength(4)
      process.kill(children[2] as number, 'SIGKILL')
      await until('what became of it', () =>
        hub.stderr().includes(`the device ${second} ended (SIGKILL); starting it again`),
      )
      expect(hub.run('say', '--device', third, 'turn off the office light').status).toBe(0)
      await until(
        'it to be back',
        async () => {
          const { devices: known } = (await (await fetch(`${hub.ready.http}/api/devices`)).json()) as {
            devices: { id: string; availability: string }[]
          }
          return (
            childrenOf(hub.process.pid).length === 4 &&
            known.every(({ availability }) => availability === 'online')
          )
        },
        limitMs,
      )
      const all = childrenOf(hub.process.pid)
      hub.process.kill('SIGINT')
      const [code] = await once(hub.process, 'exit', { signal: AbortSignal.timeout(10_000) })
      expect(code).toBe(0)
      expect(all.filter(isAlive)).toEqual([])
    },
    3 * limitMs,
  )

  test.each([
    [['--devices', '0'], /--devices 0: must be 1 to 16/],
    [['--devices', '17'], /--devices 17: must be 1 to 16/],
    [['--devices', '2', '--no-home'], /several devices share a simulated home: leave out --no-home/],
  ])('refuses %j in one line', async (args, line) => {
    await expect(openHub(['--no-voice', ...args])).rejects.toThrow(line)
  })
})
