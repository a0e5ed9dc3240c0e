/** `ganglion agent replay` on a recorded run: the same again, what a changed program would have done, and what cannot be read. */
import { spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canonicalJson } from '../../../runtime/agent/bundle/canonical.ts'
import { recordingsIn, runFileOf } from '../../../runtime/agent/replay/recordings.ts'
import { headerLine, lineOf } from '../../../runtime/agent/replay/run-file.ts'
import { agentsIn } from '../../../runtime/agent/store/agents-dir.ts'
import type { TurnInput } from '../../../runtime/agent/turn.ts'
import { readEngineFiles } from '../../../runtime/agent/vm/engine-files.ts'
import { Machine } from '../../../runtime/agent/vm/machine.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-replay-'))
const directory = recordingsIn(agentsIn(join(stateDir, 'device')))
afterAll(() => rmSync(stateDir, { recursive: true, force: true }))

const startedMs = 1_800_000_000_000
const run = `hall.${startedMs}`
const source = (brightness: number) =>
  `export default { name: 'hall', async run(ctx) { await ctx.sleep(1000); await ctx.entity('light.hall').command({ brightness: ${brightness} }) } }\n`
const inputs: readonly TurnInput[] = [
  { kind: 'start', device: 'hub' },
  { kind: 'settle', id: 1, ok: true, value: undefined },
  { kind: 'moved', device: 'cellar' },
  { kind: 'settle', id: 2, ok: true, value: { shown: 'brightness 80' } },
]

beforeAll(async () => {
  const { wasm, guest } = readEngineFiles()
  const program = { entry: './hall.js', modules: { './hall.js': source(80) } }
  using machine = await Machine.create(
    { wasm: await WebAssembly.compile(wasm), guest, program, seed: 3 },
    startedMs,
  )
  mkdirSync(directory, { recursive: true })
  const path = join(directory, runFileOf(run))
  const content = canonicalJson({ v: 1, ...program, manifest: { name: 'hall' } })
  const header = { v: 1, run, agent: 'hall', device: 'hub', token: startedMs, seed: 3, startedMs } as const
  writeFileSync(path, headerLine({ ...header, engine: 'another', guest, content }))
  for (const [at, input] of inputs.entries()) {
    const nowMs = startedMs + at * 1_000
    const result = machine.turn(nowMs, [input])
    if (!result.ok) throw new Error(result.reason)
    appendFileSync(path, lineOf(at + 1, { nowMs, inputs: [input], output: result.output }))
  }
  writeFileSync(join(stateDir, 'brighter.js'), source(100))
  writeFileSync(join(stateDir, 'broken.jsonl'), '{"v":1}\n')
}, 30_000)

function ganglion(...args: string[]) {
  const all = ['runtime/main.ts', 'agent', 'replay', ...args, '--state-dir', stateDir]
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' })
  return { status, stdout, stderr }
}

describe('agent replay', () => {
  test('knows what other devices of this machine recorded', () => {
    const other = recordingsIn(agentsIn(join(stateDir, 'device-2')))
    mkdirSync(other, { recursive: true })
    copyFileSync(join(directory, runFileOf(run)), join(other, runFileOf(`attic.${startedMs}`)))
    expect(
      JSON.parse(ganglion('--json').stdout)
        .runs.map((one: { agent: string }) => one.agent)
        .sort(),
    ).toEqual([...['attic', 'hall']])
    expect(ganglion('attic').status).toBe(0)
    rmSync(other, { recursive: true })
  })

  test('lists what was recorded', () => {
    expect(ganglion().stdout).toMatch(new RegExp(`^${run} +\\d+ kB  until \\d{4}-`))
    expect(JSON.parse(ganglion('--json').stdout)).toMatchObject({ runs: [{ run, agent: 'hall' }] })
  })

  test('says that the recorded program asks again for what it asked for', () => {
    const { status, stdout, stderr } = ganglion('hall')
    expect(stdout).toBe('✓ all 4 turns ask again for what they asked for\n')
    expect(stderr).toContain('hall on hub, then cellar, ')
    expect(stderr).toContain('the engine is another than it was then')
    expect(status).toBe(0)
  })

  test('says what a changed program would have asked for', () => {
    const { status, stdout } = ganglion(run, '--with', join(stateDir, 'brighter.js'))
    const command = (brightness: number) =>
      `command ${JSON.stringify({ entity: 'light.hall', command: { brightness } })}`
    expect(stdout.split('\n').slice(1)).toEqual([
      `  - ${command(80)}`,
      `  + ${command(100)}`,
      expect.stringMatching(/^turn 4, /),
      '  - it ends with null',
      '  + it goes on',
      `  ? ${command(100)}`,
      'the run has no answer to what stands behind ?: the changed program waited for it to the end',
      '2 of 4 turns ask for something else',
      '',
    ])
    expect(status).toBe(0)
  })

  test.each([
    [
      'nobody',
      /no run of nobody is recorded in .*: "ganglion agent replay" lists those that are; where one came here without its run, "ganglion agent logs NAME" says so\n$/,
    ],
    [join(stateDir, 'broken.jsonl'), /cannot read .*broken\.jsonl: this is no recorded run of an agent\n$/],
  ])('names what is wrong in one line: %s', (name, line) => {
    const { status, stderr } = ganglion(name)
    expect(stderr).toMatch(line)
    expect(status).toBe(2)
  })
})
