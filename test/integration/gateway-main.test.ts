/** The gateway's command as a process: what it prints, how it stops, what it says when something is wrong. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseHash } from '../../runtime/base/password.ts'
import { openClient, until } from './broker-raw.ts'
import { ask } from './gateway-device.ts'

const folder = mkdtempSync(join(tmpdir(), 'ganglion-main-'))
const stateDir = join(folder, 'state')
const running = new Set<ChildProcess>()
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

interface Process {
  readonly child: ChildProcess
  out: string
  err: string
  code: number | null | undefined
}

function start(args: readonly string[], env: Record<string, string> = {}, input?: string | null): Process {
  const child = spawn(process.execPath, ['gateway/main.ts', ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const started: Process = { child, out: '', err: '', code: undefined }
  running.add(child)
  child.stdout.on('data', (chunk) => {
    started.out += chunk
  })
  child.stderr.on('data', (chunk) => {
    started.err += chunk
  })
  child.on('close', (code) => {
    started.code = code
    running.delete(child)
  })
  // null: standard input stays open.
  if (input !== null) child.stdin.end(input)
  return started
}

async function finished(
  args: readonly string[],
  env?: Record<string, string>,
  input?: string,
): Promise<Process> {
  const started = start(args, env, input)
  await until(`${args.join(' ')} ended`, () => started.code !== undefined)
  return started
}

const free = ['--mqtt-port', '0', '--http-port', '0', '--state-dir', stateDir]

function config(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

it.each(['SIGTERM', 'SIGINT'] as const)(
  'prints one ready line when it answers, and stops cleanly at %s',
  async (signal) => {
    const gateway = start([...free, '--json', '--log-level', 'warn'])
    await until('ready', () => gateway.out.includes('\n'))
    const ready = JSON.parse(gateway.out)
    expect(Object.keys(ready)).toEqual(['ready', 'mqtt', 'http'])
    expect((await ask(`${ready.http}/api/health`)).body.broker.connected).toBe(true)
    const client = await openClient(ready.mqtt)
    gateway.child.kill(signal)
    await until('stopped', () => gateway.code !== undefined, 8_000)
    expect([gateway.code, gateway.err]).toEqual([0, ''])
    client.end(true)
  },
)

it('the plain ready line is for people', async () => {
  const gateway = start([...free, '--log-level', 'error'])
  await until('ready', () => gateway.out.includes('\n'))
  expect(gateway.out).toMatch(
    /^gateway ready: http:\/\/127\.0\.0\.1:\d+ \(MQTT: mqtt:\/\/127\.0\.0\.1:\d+\)\n$/,
  )
  gateway.child.kill('SIGTERM')
  await until('stopped', () => gateway.code !== undefined)
})

it('supervised, it ends with the parent that holds its standard input', async () => {
  const gateway = start([...free, '--supervised', '--json', '--log-level', 'error'], {}, null)
  await until('ready', () => gateway.out.includes('\n'))
  gateway.child.stdin?.end()
  await until('stopped', () => gateway.code !== undefined, 8_000)
  expect(gateway.code).toBe(0)
})

it.each(['--mqtt-port', '--http-port'])(
  'a port in use is one line that names %s, exit code 1',
  async (option) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await until('listening', () => taken.listening)
    const { port } = taken.address() as AddressInfo
    const { code, out, err } = await finished([...free, '--log-level', 'error', option, String(port)])
    expect([code, out, err]).toEqual([
      1,
      '',
      `ganglion gateway: port ${port} on 127.0.0.1 is in use: stop what listens there, or choose another with ${option}\n`,
    ])
    taken.close()
  },
)

describe("a person's mistake is one line and exit code 2", () => {
  const mistakes: readonly [string, readonly string[], RegExp][] = [
    ['an unknown option', ['--jsno'], /Unknown option '--jsno'; --help lists the options/],
    ['a port that is none', ['--mqtt-port', '99999'], /--mqtt-port 99999: not a port/],
    ['a log level that is none', ['--log-level', 'loud'], /--log-level loud: not one of debug/],
    ['a broker that is no URL', ['--broker', 'localhost'], /gateway: brokerUrl: is not a URL like mqtt:/],
    ['no such configuration', ['--config', join(folder, 'none.yaml')], /none\.yaml: ENOENT/],
    ['broken YAML', ['--config', config('broken.yaml', 'gateway: [')], /broken\.yaml/],
    [
      'an unknown key',
      ['--config', config('key.yaml', 'gateway: {http: {prot: 1}}')],
      /unknown key http\.prot/,
    ],
    [
      'a list for a section',
      ['--config', config('list.yaml', 'gateway: [1]')],
      /gateway must hold keys and values/,
    ],
    [
      'an open broker on the network',
      ['--config', config('open.yaml', 'gateway: {mqtt: {host: 0.0.0.0}}')],
      /mqtt\.host: 0\.0\.0\.0 is reachable from other machines, which needs/,
    ],
    [
      'an open API on the network',
      ['--config', config('api.yaml', 'gateway: {http: {host: 0.0.0.0}}')],
      /http\.host: 0\.0\.0\.0 is reachable from other machines, which needs a token/,
    ],
  ]
  it.each(mistakes)('%s', async (_name, args, line) => {
    const { code, out, err } = await finished(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(line)
    expect(err.trim().split('\n')).toHaveLength(1)
  })
})

it('a state folder that cannot be written is one line and exit code 1', async () => {
  const file = config('file', 'not a folder')
  const { code, err } = await finished([...free, '--log-level', 'error', '--state-dir', join(file, 'state')])
  expect(code).toBe(1)
  expect(err).toMatch(/^ganglion gateway: cannot write .* choose another with --state-dir\n$/)
})

it('the configuration file counts, and options go over it', async () => {
  const path = config(
    'good.yaml',
    `gateway: {id: attic, base: house, mqtt: {port: 1}, http: {port: 0}, stateDir: ${stateDir}}`,
  )
  const gateway = start(['--config', path, '--mqtt-port', '0', '--json', '--log-level', 'error'])
  await until('ready', () => gateway.out.includes('\n'))
  expect(JSON.parse(gateway.out).mqtt).not.toBe('mqtt://127.0.0.1:1')
  gateway.child.kill('SIGTERM')
  await until('stopped', () => gateway.code !== undefined)
})

it('--hash-password prints a hash of what standard input says, and not the password', async () => {
  const { code, out } = await finished(['--hash-password'], {}, 'secret\n')
  expect(code).toBe(0)
  expect(parseHash(out.trim())).toBeDefined()
  expect(out).not.toContain('secret')
})

it('--help lists the options', async () => {
  const { code, out } = await finished(['--help'])
  expect(code).toBe(0)
  for (const option of ['--mqtt-port', '--http-port', '--broker', '--state-dir', '--config', '--json'])
    expect(out).toContain(option)
})
