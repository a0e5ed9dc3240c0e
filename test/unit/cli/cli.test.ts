/** The command line as a process: exit codes and what a person or a machine reads. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const main = fileURLToPath(new URL('../../../runtime/main.ts', import.meta.url))
let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-cli-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

function ganglion(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr, lines: stderr.trim().split('\n') }
}

describe('a person’s mistake is one line and exit code 2', () => {
  it.each([
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['say'], 'missing required argument \'text\'\n("ganglion say --help" shows how)'],
    [['agent', 'stop'], '("ganglion agent stop --help" shows how)'],
    [['agent', 'policy', 'again'], 'ganglion: again: write reload'],
    [['deny'], "missing required argument 'id'"],
    [['up', '--log-level', 'loud'], '--log-level'],
    [['say', 'hello', '--url', 'nonsense'], '--url nonsense: not a URL'],
    [['completion', 'tcsh'], 'the shells are bash, zsh, fish'],
    [['hear', '/nowhere/a.wav', '--url', 'http://127.0.0.1:1'], 'cannot hear /nowhere/a.wav'],
    [['eval', 'home', '/nowhere'], '/nowhere'],
    [
      ['device', '--home', '/nowhere.yaml', '--broker', 'mqtt://127.0.0.1:1', '--no-voice'],
      'cannot read the home /nowhere.yaml',
    ],
    [['device'], 'no broker'],
    [['up', '--http-port', 'abc'], '--http-port abc: not a port'],
    [['gateway', '--broker', 'mqtt://'], '--broker mqtt://: not a URL like'],
    [['up', '--home', '/nowhere.yaml'], 'cannot read the home /nowhere.yaml'],
    [['up', '--id', 'a/b'], 'device.id: must be'],
    [
      ['up', '--agents', '--no-home'],
      '--agents: begins agents in a simulated home only: leave out --no-home',
    ],
    [['models', 'pull', 'nonesuch'], 'no model is named nonesuch; there are: silero-vad'],
    [['models', 'show', 'persom'], 'no model is named persom; did you mean person? there are: silero-vad'],
  ])('%j', (args, message) => {
    const { status, stdout, stderr } = ganglion(
      ...args,
      ...(args.includes('completion') ? [] : ['--state-dir', join(dir, 's')]),
    )
    expect(stderr).toContain(message)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(status).toBe(2)
    expect(stdout).toBe('')
  })

  it.each([
    ['gateway: { foo: 1 }', 'unknown key foo'],
    ['device: { foo: 1 }', 'device.foo: there is no such key'],
    ['gateway: { base: elsewhere }', 'device.base is ganglion and gateway.base is elsewhere'],
    ['device: { broker: { url: "mqtt://127.0.0.1:1" } }', 'name it with gateway.brokerUrl or --broker'],
  ])('also when a part of `up` finds it: %s', (yaml, message) => {
    const config = join(dir, 'config.yaml')
    writeFileSync(config, yaml)
    const { status, lines } = ganglion('up', '--no-voice', '--config', config, '--state-dir', join(dir, 's'))
    expect(status).toBe(2)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(message)
  })

  it('names a malformed home with its file and place', () => {
    const home = join(dir, 'home.yaml')
    writeFileSync(home, 'areas: []\nentities:\n  - { id: light.a, name: A, area: attic }\n')
    const { status, lines } = ganglion(
      'device',
      '--home',
      home,
      '--broker',
      'mqtt://127.0.0.1:1',
      '--no-voice',
      '--state-dir',
      join(dir, 's'),
    )
    expect(status).toBe(2)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('attic')
  })

  it('says which state directory cannot be written', () => {
    const file = join(dir, 'a-file')
    writeFileSync(file, '')
    const { status, lines } = ganglion('up', '--state-dir', join(file, 'below'), '--no-voice')
    expect(status).toBe(2)
    expect(lines.at(-1)).toMatch(/cannot write to the state directory .*below.*--state-dir/)
  })
})

describe('what is asked for', () => {
  it('a full disk is one line and exit code 1', () => {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', '"$@" >/dev/full', 'sh', process.execPath, main, 'completion', 'bash'],
      { encoding: 'utf8' },
    )
    expect(stderr).toMatch(/^ganglion: cannot write the output: ENOSPC.*\n$/)
    expect(status).toBe(1)
  })

  it('Ctrl-C while a gateway does not answer: exit code 130 and no complaint', async () => {
    const asked = Promise.withResolvers<void>()
    await using silent = createServer((socket) => {
      socket.on('error', () => {}).resume()
      asked.resolve()
    }).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const child = spawn(process.execPath, [main, 'device', '--gateway', `http://127.0.0.1:${port}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const stderr = text(child.stderr)
    await asked.promise
    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([130, null])
    expect(await stderr).toBe('')
  })

  it('no hub answers: exit code 1 and what to do', () => {
    const { status, stderr } = ganglion('say', 'hello', '--url', 'http://127.0.0.1:1')
    expect(stderr).toContain('no hub answers at http://127.0.0.1:1')
    expect(status).toBe(1)
  })

  it('doctor --json is one JSON object', () => {
    const { stdout } = ganglion('doctor', '--json', '--state-dir', join(dir, 's'))
    const report = JSON.parse(stdout)
    expect(report.findings.map((finding: { check: string }) => finding.check)).toContain('board')
  })

  it('models list --json names licence and digests', () => {
    const { stdout, status } = ganglion('models', 'list', '--json', '--models-dir', join(dir, 'models'))
    const { models } = JSON.parse(stdout)
    expect(status).toBe(0)
    expect(models[0]).toMatchObject({ present: false, licence: 'MIT' })
    expect(models[0].files[0].sha256).toMatch(/^[0-9a-f]{64}$/)
  })

  it.each([
    ['sa', 1, 'say safety'],
    ['models tu', 2, 'tune'],
    ['models add --re', 3, '--replace'],
    ['infer person --im', 3, '--image'],
    ['safety arm --tok', 3, '--token-file'],
    ['agent run night', 3, 'night-watch'],
    ['agent policy re', 3, 'reload'],
  ])('completion is a script that the shell accepts: ganglion %s', (typed, word, offered) => {
    const { stdout } = ganglion('completion', 'bash')
    const last = typed.split(' ').at(-1)
    const check = spawnSync(
      'bash',
      [
        '-c',
        `${stdout}\nCOMP_LINE="ganglion ${typed}" COMP_CWORD=${word}; _ganglion ganglion ${last} x; echo "\${COMPREPLY[*]}"`,
      ],
      { encoding: 'utf8', cwd: dir },
    )
    expect(check.stdout.trim()).toBe(offered)
    expect(check.stderr).toBe('')
  })

  it('completion for fish knows the commands below a command', () => {
    const { stdout } = ganglion('completion', 'fish')
    expect(stdout).toMatch(/__fish_seen_subcommand_from models; and not .* -a tune /)
    expect(stdout).toMatch(/seen_subcommand_from models; and __fish_seen_subcommand_from add" -l replace /)
  })
})
