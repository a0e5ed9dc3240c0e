/** `ganglion agent init` and `check`, and what asks a person; nothing here needs a device. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { logText, newLines } from '../../../runtime/cli/commands/agent.ts'
import { confirm } from '../../../runtime/cli/confirm.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const agents = join(root, 'test/fixtures/agents')
let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-agent-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

function run(program: string, args: readonly string[], cwd = dir) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, program), ...args], {
    ...{ encoding: 'utf8', timeout: 60_000, cwd },
  })
  return { status, stdout, stderr }
}
const ganglion = (...args: string[]) => run('runtime/main.ts', ['agent', ...args])
const tsc = (cwd: string) => run('node_modules/typescript/bin/tsc', ['-p', '.'], cwd)

describe('agent init', () => {
  test('writes an agent that an editor checks, and that is one', () => {
    expect(ganglion('init', 'hall-light', '--json')).toMatchObject({ status: 0 })
    expect(readdirSync(join(dir, 'hall-light'))).toEqual(['ganglion.d.ts', 'hall-light.ts', 'tsconfig.json'])
    expect(tsc(join(dir, 'hall-light'))).toEqual({ status: 0, stdout: '', stderr: '' })
    const checked = ganglion('check', 'hall-light')
    expect(checked.stdout).toContain('- turn all lights on and off')
    expect(checked).toMatchObject({ status: 0, stderr: expect.not.stringContaining('Warning') })
    const file = join(dir, 'hall-light', 'hall-light.ts')
    writeFileSync(file, readFileSync(file, 'utf8').replace('ctx.sleep(', 'ctx.sleeep('))
    expect(tsc(join(dir, 'hall-light'))).toMatchObject({
      status: 2,
      stdout: expect.stringContaining("'sleeep' does not exist"),
    })
    expect(JSON.parse(ganglion('init', 'hall-light', '--json').stdout).written).toEqual(['ganglion.d.ts'])
    expect(readFileSync(file, 'utf8')).toContain('sleeep')
  })

  test('refuses a name that no agent may have', () => {
    expect(ganglion('init', 'Night Watch')).toMatchObject({
      ...{ status: 2, stdout: '' },
      stderr: expect.stringMatching(/^ganglion: Night Watch cannot be the name of an agent: .*\n$/),
    })
  })
})

describe('agent check', () => {
  // Conformance: every example is an agent, and is as its editor's types say.
  const examples = readdirSync(agents).filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  test.each(examples)('takes the example %s', (file) => {
    const { status, stdout, stderr } = ganglion('check', join(agents, file), '--json')
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      name: file.slice(0, -3),
      program: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(status).toBe(0)
  })

  test('says what an agent wants in plain words, with its own reasons', () => {
    expect(ganglion('check', join(agents, 'door-keeper.ts')).stdout.split('\n')).toEqual([
      'door-keeper: locks the front door at ten in the evening',
      'It wants to',
      '  - lock lock.front_door (only 21:30-06:00; at most 4 times an hour), because “the door is forgotten now and then”',
      '  - see lock.front_door and what changes there',
      '  - keep and search memories of its own',
      'and may do nothing else.',
      '',
    ])
  })

  test.each([
    ['import "node:fs"', /^ganglion: \.\/a\.ts:1 imports "node:fs": an agent imports .*\n$/],
    [
      'enum State { on }',
      /^ganglion: \.\/a\.ts:1: .*enum is not supported here: write it in plain JavaScript\n$/,
    ],
    ['while (true);', /^ganglion: .* in one turn: an endless loop.*\n$/],
    [
      `export default { name: 'a', wants: ['everything'], run() {} }`,
      /^ganglion: .*wants\.0: "everything" is no capability.*\n$/,
    ],
  ])('names what is wrong in one line: %s', (text, line) => {
    writeFileSync(join(dir, 'a.ts'), text)
    const { status, stdout, stderr } = ganglion('check', 'a.ts')
    expect(stderr).toMatch(line)
    expect(stdout).toBe('')
    expect(status).toBe(1)
  })

  test('says of one that wants to be served first that this is granted by itself', () => {
    writeFileSync(join(dir, 'first.ts'), `export default { name: 'first', priority: 'control', run() {} }`)
    expect(ganglion('check', 'first.ts').stdout).toContain(
      'ganglion agent grant first --allow priority:control',
    )
  })

  test('says what to do where there is no agent, or are several', () => {
    writeFileSync(join(dir, 'notes.md'), '')
    expect(ganglion('check', 'notes.md')).toMatchObject({
      ...{ status: 2, stderr: expect.stringContaining('a file that ends in .ts') },
    })
    expect(ganglion('check', 'nowhere').stderr).toMatch(
      /^ganglion: there is no nowhere, nor .*--shipped.*\n$/,
    )
    mkdirSync(join(dir, 'two'))
    for (const file of ['b.ts', 'c.ts']) writeFileSync(join(dir, 'two', file), '')
    expect(ganglion('check', 'two')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('b.ts, c.ts'),
    })
  })
})

describe('agents that come with Ganglion', () => {
  test('are listed without a device, and checked by their name', () => {
    const { agents } = JSON.parse(ganglion('list', '--shipped', '--json').stdout)
    expect(agents).toContainEqual({ name: 'night-watch', says: expect.stringContaining('at night') })
    expect(ganglion('list', '--shipped').stdout).toMatch(/^night-watch +lights the room/m)
    expect(ganglion('check', 'night-watch').stdout).toContain('turn all lights on (only 21:00-07:00)')
  })

  test('give way to a file or folder of the same name', () => {
    ganglion('init', 'night-watch')
    expect(ganglion('check', 'night-watch').stdout).not.toContain('21:00')
    rmSync(join(dir, 'night-watch'), { recursive: true })
  })
})

describe('a person who is asked', () => {
  const asked = async (typed: string | undefined, isTTY = true) => {
    const stdin = Object.assign(new PassThrough(), { isTTY })
    const answer = confirm('Let it?', 'use --grant', AbortSignal.timeout(10_000), {
      stdin,
      stderr: new PassThrough(),
    })
    stdin.end(typed)
    return await answer
  }

  test.each([
    ['y\n', true],
    ['Yes\n', true],
    ['n\n', false],
    ['\n', false],
    ['yellow\n', false],
    [undefined, false],
  ])('and types %j', async (typed, says) => {
    expect(await asked(typed)).toBe(says)
  })

  test('where there is no terminal is told what to do instead', async () => {
    await expect(asked('y\n', false)).rejects.toThrow('there is no terminal to ask at: use --grant')
  })
})

describe('logs -f', () => {
  const lines = (...texts: string[]) =>
    texts.map((text, atMs) => ({ atMs: text === 'a' ? 0 : atMs, level: 'info' as const, text }))
  test('shows each line once', () => {
    const [a, b, c] = lines('a', 'b', 'c')
    const log = [a, a, b, c].flatMap((line) => line ?? [])
    expect(newLines([], log)).toEqual(log)
    expect(newLines(log, log)).toEqual([])
    expect(newLines(log.slice(0, 2), log)).toEqual(log.slice(2))
    expect(newLines(log.slice(0, 3), log.slice(1))).toEqual(log.slice(3))
    expect(newLines(log.slice(0, 1), log.slice(2))).toEqual(log.slice(2))
  })
})

test('what an agent says is shown as text: it moves no cursor, and none of its lines looks like another', () => {
  const style = (_: unknown, text: string) => text
  const text = 'done\u001b[2K\u001b]0;x\u0007\r\u202e\n2026-11-23 09:00:00  the door is locked'
  for (const level of ['info', 'error'] as const) {
    const shown = logText({ level, text }, { style })
    expect(shown).not.toMatch(/[\p{Cf}]|(?!\n)\p{Cc}/u)
    expect(shown).toContain('\n    2026-11-23')
  }
})
