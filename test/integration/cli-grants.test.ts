/** What a running agent may do is shown and changed by the real command line, at once, and all of it is on the record. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHub, type TestHub, until } from '../fixtures/hub.ts'

let dir: string
let hub: TestHub
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cli-grants-'))
  hub = await openHub(['--no-voice', '--no-demo'])
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true })
})

const watcher = `import { agent } from 'ganglion'
export default agent({
  name: 'watcher',
  wants: [
    'light.*:read',
    { want: 'light.*:command', limits: { rate: '20/h', values: { state: ['on', 'off'], brightness: { max: 128 } } } },
  ],
  async run(ctx) {
    for (;;)
      try {
        for await (const seen of ctx.on('light.*')) ctx.log('saw', seen.entity)
      } catch (error) {
        ctx.log('lost', error.code)
        await ctx.sleep('100ms')
      }
  },
})`
const logged = () => hub.run('agent', 'logs', 'watcher', '--json').stdout
const granted = (...args: string[]) => hub.run('agent', 'grant', 'watcher', ...args)
const capabilities = (text: string): string[] =>
  JSON.parse(text).grants.map(({ capability }: { capability: string }) => capability)

test('a stream that is open ends when it is taken back, and may be opened again when it is given', async () => {
  const file = join(dir, 'watcher.ts')
  writeFileSync(file, watcher)
  const began = hub.run('agent', 'run', file, '--grant', 'all')
  expect(began.status, began.stderr).toBe(0)
  await until('it to watch', () =>
    hub.run('agent', 'list', '--json').stdout.includes('"waiting":[{"op":"on","count":1}]'),
  )
  const shown = granted()
  expect(shown.stdout).toContain('see all lights and what changes there')
  // What it may is never said to be missing, in whatever order its limits are told.
  expect(shown.stderr).toBe('')
  const taken = granted('--deny', 'light.*:read', '--json')
  expect(capabilities(taken.stdout), taken.stderr).toEqual(['light.*:command'])
  await until('it to lose its stream', () => logged().includes('lost permission'))
  const given = granted('--allow', 'light.hall*:read', '--json')
  expect(capabilities(given.stdout), given.stderr).toEqual(['light.*:command', 'light.hall*:read'])
})

test('[permit-4] what it never asked for is refused, unless somebody says so in as many words', () => {
  const refused = granted('--allow', 'lock.*:command')
  expect(refused.status).not.toBe(0)
  expect(refused.stderr).toContain(
    'does not ask for lock.*:command like this: --beyond gives it all the same',
  )
  expect(granted('--set', join(dir, 'nothing.json')).stderr).toMatch(
    /^ganglion: --set .*nothing\.json: ENOENT/,
  )
  writeFileSync(join(dir, 'one.json'), '{"capability":"light.*:read"}')
  expect(granted('--set', join(dir, 'one.json')).stderr).toMatch(
    /^ganglion: the grants: must be a list such as/,
  )
  expect(capabilities(granted('--allow', 'lock.*:command', '--beyond', '--json').stdout)).toContain(
    'lock.*:command',
  )
})

test('[permit-12] what a wider grant would still allow is not half taken back', () => {
  const refused = granted('--deny', 'light.hall:command')
  expect(refused.status).not.toBe(0)
  expect(refused.stderr).toContain('light.*:command allows some of light.hall:command')
  expect(JSON.parse(granted('--deny', 'all', '--json').stdout).grants).toEqual([])
  expect(granted().stdout).toContain('watcher may do nothing')
})

test('[agent-calls-3] who asked for each change is on the record, before it was made', () => {
  expect(hub.run('agent', 'stop', 'watcher').status).toBe(0)
  expect(hub.run('agent', 'resume', 'watcher').status).toBe(0)
  expect(hub.run('agent', 'remove', 'watcher').status).toBe(0)
  const entries = hub
    .run('audit', 'show', '--json', '--lines', '1000')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map((line) => line.entry ?? line)
  const asked = entries.filter(({ kind }) => kind === 'asked-for')
  expect(asked.map(({ ask }) => ask)).toEqual([
    ...['run', 'grant', 'grant', 'grant', 'grant', 'stop', 'resume', 'remove'],
  ])
  expect(new Set(asked.map(({ by }) => by))).toEqual(new Set([`local:${userInfo().username}`]))
  expect(asked.find(({ beyond }) => beyond)?.grants).toContainEqual({ capability: 'lock.*:command' })
  const done = entries.filter(({ kind }) => kind === 'done')
  expect(done.map(({ ask, outcome }) => [ask, outcome])).toEqual(asked.map(({ ask }) => [ask, 'ok']))
})
