/** The hub as its user meets it: real processes, the real command line, a real broker, a simulated home. */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check, sayResult } from '../../runtime/wire/messages.ts'
import { childrenOf, isAlive, openHub, type TestHub, until } from '../fixtures/hub.ts'

const voices = {
  lamp: fileURLToPath(
    new URL('../../runtime/perception/samples/turn-on-the-living-room-lamp.wav', import.meta.url),
  ),
}

describe('a hub without voice', () => {
  let hub: TestHub
  beforeAll(async () => {
    hub = await openHub(['--no-voice'])
  })
  afterAll(() => hub[Symbol.asyncDispose]())

  it('prints one ready line that names broker, dashboard and device', () => {
    expect(hub.ready).toEqual({
      ready: true,
      mqtt: expect.stringMatching(/^mqtt:\/\/127\.0\.0\.1:\d+/),
      http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+/),
      device: expect.any(String),
    })
  })

  it('does what is said and proves it: exit code 0', () => {
    const { status, stdout } = hub.run('say', '--json', 'turn on the living room lamp')
    const result = JSON.parse(stdout)
    expect(check(sayResult, result)).toMatchObject({ ok: true })
    expect(result).toMatchObject({
      outcome: 'done',
      transcript: 'turn on the living room lamp',
      commands: [
        {
          entity: 'light.living_room_lamp',
          command: { state: 'on' },
          outcome: 'done',
          evidence: { observed: { state: 'on' } },
          latencyMs: expect.any(Number),
        },
      ],
    })
    expect(status).toBe(0)
  })

  it('lists entities with their state, for a person and for a machine', () => {
    const { entities } = JSON.parse(hub.run('entities', '--json').stdout)
    expect(entities.find((entity: { id: string }) => entity.id === 'light.living_room_lamp')).toMatchObject({
      simulated: true,
    })
    expect(hub.run('entities').stdout).toMatch(/light\.living_room_lamp .* simulated/)
  })

  it.each([
    ['set the living room lamp to 900 percent', 'refused'],
    ['turn on the flux capacitor', 'refused'],
  ])('refuses %j with exit code 3 and the reason', (text, outcome) => {
    const { status, stdout } = hub.run('say', '--json', text)
    expect(JSON.parse(stdout)).toMatchObject({ outcome, commands: [], reply: expect.stringMatching(/\w/) })
    expect(status).toBe(3)
  })

  it('fails honestly when the lamp is stuck: exit code 1 and what was seen', async () => {
    const fault = (body: unknown) =>
      fetch(`${hub.ready.http}/api/entities/light.living_room_lamp/fault`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    hub.run('say', 'turn off the living room lamp')
    expect((await fault({ fault: { kind: 'stuck' } })).status).toBe(200)
    const { status, stdout } = hub.run('say', 'turn on the living room lamp')
    expect(stdout).toMatch(/did not do it: .*showed state off, not state on/)
    expect(status).toBe(1)
    expect((await fault({ fault: null })).status).toBe(200)
  })

  it('says that voice is switched off when it is asked to hear', () => {
    const { status, stderr } = hub.run('hear', voices.lamp)
    expect(stderr).toContain('voice is switched off')
    expect(status).toBe(1)
  })

  it('refuses a second hub with the same state directory', () => {
    const { status, stderr } = hub.run('up', '--no-voice')
    expect(stderr).toContain('a hub is already running here')
    expect(status).toBe(1)
  })

  it('refuses a gateway with the same state directory, and is still found', () => {
    const { status, stderr } = hub.run('gateway', '--http-port', '0', '--mqtt-port', '0')
    expect(stderr).toContain(`a hub is already running here (process ${hub.process.pid}`)
    expect(status).toBe(1)
    expect(hub.run('entities').status).toBe(0)
  })

  it('starts the device again when it dies, and goes on', async () => {
    const device = childrenOf(hub.process.pid).at(-1) ?? 0
    process.kill(device, 'SIGKILL')
    await until('a new device', async () => {
      const { devices } = (await (await fetch(`${hub.ready.http}/api/entities`)).json()) as {
        devices: { availability: string }[]
      }
      return (
        !isAlive(device) &&
        devices.some(({ availability }) => availability === 'online') &&
        childrenOf(hub.process.pid).length === 2
      )
    })
    await until('an answer', () => hub.run('say', 'turn off the living room lamp').status === 0)
  })
})

describe('stopping', () => {
  it('ends everything on Ctrl-C and leaves no hub file', async () => {
    await using hub = await openHub(['--no-voice'])
    const children = childrenOf(hub.process.pid)
    expect(children).toHaveLength(2)
    hub.process.kill('SIGINT')
    const [code] = await once(hub.process, 'exit', { signal: AbortSignal.timeout(5_000) })
    expect(code).toBe(0)
    expect(children.filter(isAlive)).toEqual([])
    expect(hub.run('entities').stderr).toContain('no hub is running')
  })

  it('leaves nothing behind when it is killed', async () => {
    await using hub = await openHub(['--no-voice'])
    const children = childrenOf(hub.process.pid)
    hub.process.kill('SIGKILL')
    await until('the end of gateway and device', () => children.every((pid) => !isAlive(pid)))
  })
})

describe('stopping when something is wrong', () => {
  it('ends children that do not answer, within the deadline [cli-4]', async () => {
    await using hub = await openHub(['--no-voice'])
    const children = childrenOf(hub.process.pid)
    for (const pid of children) process.kill(pid, 'SIGSTOP')
    hub.process.kill('SIGINT')
    hub.process.kill('SIGINT')
    const [code] = await once(hub.process, 'exit', { signal: AbortSignal.timeout(5_000) })
    expect(code).toBe(0)
    expect(children.filter(isAlive)).toEqual([])
  })
})

describe('a hub whose broker is away', () => {
  it('runs, and says that and why its gateway does not reach the device', async () => {
    await using hub = await openHub(['--no-voice', '--broker', 'mqtt://127.0.0.1:1'])
    expect(hub.ready.device).toMatch(/\w/)
    await until('the reason', () =>
      /ganglion: no connection to the broker mqtt:\/\/127\.0\.0\.1:1: .*works by itself/.test(hub.stderr()),
    )
  })
})

describe('a hub with a token [cli-7]', () => {
  const token = 'a-token-for-this-test'
  it('is used by whoever has it in the environment, and by nobody else', async () => {
    await using hub = await openHub(['--no-voice'], { GANGLION_GATEWAY_TOKEN: token })
    const { status, stderr } = hub.run('entities')
    expect(stderr).toContain('set GANGLION_GATEWAY_TOKEN')
    expect(status).toBe(2)
    process.env['GANGLION_GATEWAY_TOKEN'] = token
    try {
      expect(hub.run('say', 'turn on the living room lamp').status).toBe(0)
    } finally {
      delete process.env['GANGLION_GATEWAY_TOKEN']
    }
  })
})

describe('a bad start', () => {
  it('names the port that is in use and what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    try {
      await expect(openHub(['--no-voice', '--http-port', String(port)])).rejects.toThrow(
        new RegExp(`${port}.*--http-port`, 's'),
      )
      await expect(openHub(['--no-voice', '--mqtt-port', String(port)])).rejects.toThrow(
        new RegExp(`${port}.*--mqtt-port`, 's'),
      )
    } finally {
      taken.close()
    }
  })

  it('sets a corrupt outbox aside, says so, and starts', async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-corrupt-'))
    mkdirSync(join(stateDir, 'device', 'outbox'), { recursive: true })
    writeFileSync(
      join(stateDir, 'device', 'outbox', 'outbox.db'),
      'this is not a database, however long it may be'.repeat(200),
    )
    try {
      await using hub = await openHub(['--no-voice', '--state-dir', stateDir])
      expect(hub.ready.ready).toBe(true)
      expect(hub.stderr()).toMatch(/set aside/)
    } finally {
      rmSync(stateDir, { recursive: true })
    }
  })

  it('without a registry everything but voice works, and it says so', async () => {
    const models = mkdtempSync(join(tmpdir(), 'ganglion-models-'))
    const env = {
      npm_config_registry: 'http://127.0.0.1:1/',
      GANGLION_MODELS_DIR: models,
      npm_config_cache: join(models, 'npm'),
      npm_config_fetch_retries: '0',
    }
    try {
      await using hub = await openHub([], env)
      expect(hub.run('say', 'turn on the living room lamp').status).toBe(0)
      const { status, stderr } = hub.run('hear', voices.lamp)
      expect(stderr).toMatch(/voice is (off|starting)/)
      expect(status).toBe(1)
    } finally {
      rmSync(models, { recursive: true, force: true })
    }
  })
})

describe('a hub with voice', () => {
  let hub: TestHub
  beforeAll(async () => {
    hub = await openHub([])
    await until(
      'voice',
      async () => {
        const status = (await (
          await fetch(`${hub.ready.http}/api/devices/${hub.ready.device}/status`)
        ).json()) as { problems: string[] }
        return status.problems.every((problem) => !problem.startsWith('voice'))
      },
      300_000,
    )
  }, 330_000)
  afterAll(() => hub[Symbol.asyncDispose]())

  it('hears a real voice, acts, and proves it', () => {
    const { status, stdout } = hub.run('hear', '--json', voices.lamp)
    const result = JSON.parse(stdout)
    expect(result.transcript.toLowerCase()).toContain('turn on the living room lamp')
    expect(result).toMatchObject({
      outcome: 'done',
      commands: [
        { entity: 'light.living_room_lamp', outcome: 'done', evidence: { observed: { state: 'on' } } },
      ],
    })
    expect(status).toBe(0)
  })

  it('hears again after its engine was killed', async () => {
    const engineOf = async () => {
      const status = (await (
        await fetch(`${hub.ready.http}/api/devices/${hub.ready.device}/status`)
      ).json()) as { processes: { name: string; pid: number }[] }
      return status.processes.find(({ name }) => name === 'engine')?.pid ?? 0
    }
    const engine = await engineOf()
    process.kill(engine, 'SIGKILL')
    await until('a new engine', async () => {
      const now = await engineOf()
      return now !== engine && now !== 0 && isAlive(now)
    })
    expect(hub.run('hear', voices.lamp).status).toBe(0)
  })

  it.each([
    ['not a WAV', Buffer.from('hello'), /WAV/i],
    ['an empty file', Buffer.alloc(0), /WAV|empty/i],
  ])('refuses %s in one line', (_, bytes, message) => {
    const file = join(hub.stateDir, 'bad.wav')
    writeFileSync(file, bytes)
    const { status, stderr } = hub.run('hear', file)
    expect(stderr).toMatch(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(status).toBe(2)
  })
})
