/** A device of a fleet: its policy grants without a person, its people with their PINs, and nobody what the policy never allows. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { hashPassword } from '../../runtime/base/password.ts'
import { openHub, type TestHub } from '../fixtures/hub.ts'

/** Each runs the command line several times. */
const minutesMs = 120_000

let dir: string
let hub: TestHub
let file: string
let policy: string
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cli-policy-'))
  file = join(dir, 'waiter.ts')
  writeFileSync(file, waiter)
  const config = join(dir, 'config.json')
  policy = join(dir, 'policy.yaml')
  writeFileSync(policy, "{ allow: ['light.hall*:read', memory], never: ['siren.*:command'] }")
  const people = [{ name: 'Ada', pin: await hashPassword('2468') }]
  writeFileSync(config, JSON.stringify({ device: { people, agents: { policy } } }))
  hub = await openHub(['--no-voice', '--no-demo', '--config', config])
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true })
})
afterEach(() => {
  delete process.env['GANGLION_PIN']
})

const waiter = `import { agent } from 'ganglion'
export default agent({
  name: 'waiter',
  priority: 'control',
  wants: ['light.*:read', 'memory', 'siren.*:command'],
  async run(ctx) {
    await ctx.sleep('1d')
  },
})`

test(
  '[policy-1] the policy grants what it allows, without a person',
  () => {
    const checked = hub.run('agent', 'check', file, '--policy', join(dir, 'none.yaml'))
    expect(checked.stderr).toContain('cannot read the policy')
    const began = hub.run('agent', 'run', file, '--grant', 'policy', '--json')
    expect(JSON.parse(began.stdout || '{}').grants, began.stderr).toEqual([
      { capability: 'light.hall*:read', from: 'policy' },
      { capability: 'memory', from: 'policy' },
    ])
    const may = JSON.parse(hub.run('agent', 'grant', 'waiter', '--json').stdout)
    // It calls itself control; nobody has granted that.
    expect(may.priority).toBe('background')
  },
  minutesMs,
)

test(
  '[agent-calls-4] a name alone may take back, and not give; a person with their PIN may',
  () => {
    const grant = (...args: string[]) => hub.run('agent', 'grant', 'waiter', '--json', '--by', 'Ada', ...args)
    const claimed = grant('--allow', 'light.kitchen*:read')
    expect(claimed.status).not.toBe(0)
    expect(claimed.stderr).toContain('only a person of this device may: Ada')
    expect(JSON.parse(grant('--deny', 'memory').stdout).grants).toHaveLength(1)
    process.env['GANGLION_PIN'] = '1111'
    expect(grant('--allow', 'light.kitchen*:read').stderr).toContain('not the PIN of Ada')
    process.env['GANGLION_PIN'] = '2468'
    const may = JSON.parse(grant('--allow', 'light.kitchen*:read').stdout)
    expect(may.grants).toContainEqual({ capability: 'light.kitchen*:read' })
    // A person grants it something: it may go before what runs in the background, not before people.
    expect(may.priority).toBe('interactive')
  },
  minutesMs,
)

test(
  '[policy-2] nobody grants what the policy never allows',
  () => {
    const refused = hub.run('agent', 'grant', 'waiter', '--allow', 'siren.*:command')
    expect(refused.status).not.toBe(0)
    expect(refused.stderr).toContain('the policy of this device lets no agent command every siren')
  },
  minutesMs,
)

test(
  '[policy-3] a changed policy holds when the device is told to read it, without a restart',
  () => {
    const reload = (...more: string[]) => hub.run('agent', 'policy', 'reload', ...more)
    writeFileSync(policy, '{ allow: [light.hall*:reed] }')
    const wrong = reload()
    expect(wrong.status).not.toBe(0)
    expect(wrong.stderr.trim().split('\n')).toHaveLength(1)
    expect(wrong.stderr).toContain('policy.yaml: allow')
    writeFileSync(policy, '{ allow: [], never: [] }')
    const read = reload('--json')
    expect(JSON.parse(read.stdout || '{}'), read.stderr).toMatchObject({ allow: 0, never: 0, agents: 1 })
    // What a person granted stays.
    expect(JSON.parse(hub.run('agent', 'grant', 'waiter', '--json').stdout).grants).toEqual([
      { capability: 'light.kitchen*:read' },
    ])
    expect(hub.run('agent', 'policy', 'revert').stderr).toContain('revert: write reload')
  },
  minutesMs,
)
