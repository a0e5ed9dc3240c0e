/** A person of the home is forgotten by all agents: what was noted about them, and recorded runs; what is about others stays. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHub, type TestHub, until } from '../fixtures/hub.ts'

let dir: string
let hub: TestHub
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cli-forget-'))
  hub = await openHub(['--no-voice', '--no-demo'])
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true })
})

const notes = (name: string) => `import { agent } from 'ganglion'
export default agent({
  name: '${name}',
  wants: ['memory'],
  async run(ctx) {
    await ctx.memory.note('Ada likes it warm', { about: 'Ada' })
    await ctx.memory.set('tea', 'at four', { about: 'ada' })
    await ctx.memory.note('Bob likes it cold', { about: 'Bob' })
    ctx.log('noted')
    for (;;) {
      await ctx.sleep(100)
      const left = await ctx.memory.search('likes')
      if (left.length < 2) return left.map((one) => one.text)
    }
  },
})`

test('what agents know of somebody is gone everywhere, after a yes [memory-6]', async () => {
  for (const name of ['one', 'two']) {
    const file = join(dir, `${name}.ts`)
    writeFileSync(file, notes(name))
    const began = hub.run('agent', 'run', file, '--grant', 'all', '--record')
    expect(began.status, began.stderr).toBe(0)
  }
  for (const name of ['one', 'two'])
    await until(`${name} has noted`, () => hub.run('agent', 'logs', name).stdout.includes('noted'))
  const { runs } = JSON.parse(hub.run('agent', 'replay', '--json').stdout)
  expect(runs.map(({ changedMs }: { changedMs: number }) => changedMs % 1)).toEqual([0, 0])
  expect(hub.run('forget', ' ', '--yes')).toMatchObject({
    ...{ status: 2, stderr: expect.stringContaining('say whom') },
  })
  const asked = hub.run('forget', 'Ada')
  expect(asked.stderr).toContain('there is no terminal to ask at: say --yes with it')
  expect(asked.status).toBe(2)
  const { forgot, away } = JSON.parse(hub.run('forget', 'Ada', '--yes', '--json').stdout)
  expect(forgot).toEqual([{ device: expect.any(String), erased: 4, runs: 2 }])
  expect(away).toEqual([])
  await until('both see it', () => {
    const { agents } = JSON.parse(hub.run('agent', 'list', '--json').stdout)
    return agents.every(({ reason }: { reason?: string }) => reason === '["Bob likes it cold"]')
  })
  expect(JSON.parse(hub.run('agent', 'replay', '--json').stdout).runs).toEqual([])
  const shown = hub.run('audit', 'show').stdout
  expect(shown).toContain('ask forget')
  expect(shown).not.toContain('Ada')
}, 120_000)
