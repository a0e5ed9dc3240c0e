/** A person is asked, answers by the real command line, and all of it is on a record that verifies. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHub, type TestHub, until } from '../fixtures/hub.ts'

let dir: string
let hub: TestHub
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cli-approvals-'))
  hub = await openHub(['--no-voice', '--no-demo'])
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true })
})

const asker = `import { agent } from 'ganglion'
export default agent({
  name: 'asker',
  wants: [{ want: 'light.*:command', limits: { ask: true } }],
  async run(ctx) {
    const outcomes = []
    // What is not there nobody is asked about.
    for (const [id, state] of [['light.nowhere', 'on'], ['light.kitchen_table', 'on'], ['light.kitchen_table', 'off']])
      try {
        await ctx.entity(id).command({ state })
        outcomes.push('done')
      } catch (error) {
        outcomes.push(error.code)
      }
    return outcomes
  },
})`
const waiting = (): { id: string; words: string }[] =>
  JSON.parse(hub.run('approvals', '--json').stdout).approvals

test('[permit-7] [permit-15] a yes of who is at the device lets one call through, a no of anybody the next not, and the record says who', async () => {
  expect(hub.run('approvals').stdout).toBe('nothing waits for an answer\n')
  const file = join(dir, 'asker.ts')
  writeFileSync(file, asker)
  const began = hub.run('agent', 'run', file, '--grant', 'all')
  expect(began.status, began.stderr).toBe(0)
  await until('a question', () => waiting().length === 1)
  const [first] = waiting()
  expect(first?.words).toBe('command light.kitchen_table: state "on"')
  const claimed = hub.run('approve', first?.id ?? '', 'yes', '--by', 'Ada')
  expect(claimed.status).not.toBe(0)
  expect(claimed.stderr.trim().split('\n')).toHaveLength(1)
  expect(claimed.stderr).toContain(`say "ganglion approve ${first?.id} yes" on the device itself`)
  expect(claimed.stderr).toContain('a PIN with "ganglion person NAME"')
  expect(waiting()).toHaveLength(1)
  const said = hub.run('approve', first?.id ?? '', 'yes')
  expect(said.stdout).toBe('asker was told yes: command light.kitchen_table: state "on"\n')
  await until('the next question', () => waiting().some(({ id }) => id !== first?.id))
  expect(hub.run('approve', first?.id ?? '', 'yes', '--by', 'Ada').status).not.toBe(0)
  expect(hub.run('deny', waiting()[0]?.id ?? '', '--by', 'Grace').status).toBe(0)
  await until('its end', () =>
    hub.run('agent', 'list', '--json').stdout.includes('[\\"not-found\\",\\"done\\",\\"permission\\"]'),
  )
  const shown = hub.run('audit', 'show').stdout
  expect(shown).toMatch(/light\.nowhere:command.*reason not-found {2}verdict deny/)
  // Who said yes could read the device's key; a name that nothing proves is enough for a no.
  const local = `by local:${userInfo().username}`
  expect(shown.split('\n').some((line) => line.includes('verdict allow') && line.includes(local))).toBe(true)
  expect(shown).toContain('by claimed:Grace')
  // Who was sent away is there as well, and as nothing else.
  const ofAda = shown.split('\n').filter((line) => line.includes('claimed:Ada'))
  expect(ofAda).toMatchObject([expect.stringMatching(/sent-away.*ask approve.*reason unproven/)])
  const verified = hub.run('audit', 'verify')
  expect(verified.stderr + verified.stdout).toMatch(/are as the device wrote them/)
}, 120_000)
