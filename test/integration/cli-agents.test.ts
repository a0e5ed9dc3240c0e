/** Agents on a running hub, by the real command line: granted, run, looked at, stopped, removed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHub, type TestHub, until } from '../fixtures/hub.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/agents/${name}`, import.meta.url))
let dir: string
let hub: TestHub
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cli-agents-'))
  hub = await openHub(['--no-voice', '--no-demo'])
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true })
})

const agent = (...args: string[]) => hub.run('agent', ...args)
interface Listed {
  readonly name: string
  readonly state: string
  readonly reason?: string
  readonly waiting: readonly unknown[]
}
const listedOne = async (name: string): Promise<Listed | undefined> => {
  const { agents } = (await (await fetch(api(''))).json()) as { agents: Listed[] }
  return agents.find((one) => one.name === name)
}
const saidBy = async (name: string) => await (await fetch(api(`/${name}/logs`))).text()
const api = (path: string) => `${hub.ready.http}/api/devices/${hub.ready.device}/agents${path}`
const post = async (path: string, body: unknown) => {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(api(path), { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as { error?: { message: string } } }
}
const entity = async (id: string) => {
  const { entities } = (await (await fetch(`${hub.ready.http}/api/entities`)).json()) as {
    entities: { id: string; state: string }[]
  }
  return entities.find((one) => one.id === id)?.state
}
const written = (name: string, text: string) => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

/** The light over the table follows the one at the ceiling. */
const follower = `import { agent } from 'ganglion'
export default agent({
  name: 'follower',
  wants: ['light.kitchen_*:command', 'light.kitchen_ceiling:read'],
  async run(ctx) {
    for await (const seen of ctx.on('light.kitchen_ceiling', { to: ['on', 'off'] })) {
      try {
        const done = await ctx.entity('light.kitchen_table').command({ state: seen.state })
        ctx.log('done', done.shown)
      } catch (error) {
        ctx.log('not done', error.code)
      }
    }
  },
})`

test('a device without agents says so', () => {
  expect(agent('list').stdout).toMatch(/ has no agents: "ganglion agent run FILE" starts one\n$/)
  expect(agent('list', '--device', 'nonesuch')).toMatchObject({
    ...{ status: 2, stderr: `ganglion: no device nonesuch: there is ${hub.ready.device}\n` },
  })
  expect(agent('logs', 'nobody')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('no agent called nobody'),
  })
})

test('an agent that wants nothing runs to its end, and what it said and gave back is kept', async () => {
  expect(agent('run', fixture('counter.ts'))).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^✓ counter runs on /),
  })
  await until('the end of the counter', async () => (await listedOne('counter'))?.state === 'ended')
  expect(await listedOne('counter')).toMatchObject({ reason: '3', waiting: [] })
  expect(agent('logs', 'counter', '--lines', '2').stdout).toMatch(/that makes two\n.*that makes three\n$/)
})

test('nothing is granted silently: without a terminal nothing is started', async () => {
  const file = written('follower.ts', follower)
  const refused = agent('run', file)
  expect(refused.stderr).toContain('turn everything called light.kitchen_* on and off')
  expect(refused.stderr).toContain('there is no terminal to ask at: grant it with --grant all')
  expect(refused.status).toBe(2)
  expect(agent('run', file, '--json')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('--json asks nobody'),
  })
  expect(await listedOne('follower')).toBeUndefined()
})

test('what was granted is done in the home, and shown by its telemetry', async () => {
  const ran = agent('run', join(dir, 'follower.ts'), '--grant', 'all', '--json')
  expect(JSON.parse(ran.stdout)).toMatchObject({
    name: 'follower',
    grants: [{ capability: 'light.kitchen_*:command' }, {}],
  })
  await until('a subscription', async () => (await listedOne('follower'))?.waiting.length === 1)
  const before = await entity('light.kitchen_ceiling')
  const other = before === 'on' ? 'off' : 'on'
  hub.run('say', `turn ${other} the kitchen ceiling light`)
  await until('the table to follow', async () => (await entity('light.kitchen_table')) === other)
  await until('its log', async () => (await saidBy('follower')).includes('"done '))
})

test('what runs is in the way of another of its name, is stopped, goes on, and is removed', async () => {
  expect(agent('run', join(dir, 'follower.ts'), '--grant', 'all')).toMatchObject({
    ...{ status: 2, stderr: expect.stringContaining('follower is running already: stop it first') },
  })
  expect(agent('stop', 'follower').stdout).toContain('"ganglion agent resume" goes on from there')
  expect(await listedOne('follower')).toMatchObject({ state: 'stopped', waiting: [] })
  expect(agent('list').stdout).toMatch(/follower +stopped/)
  expect(agent('resume', 'follower').status).toBe(0)
  expect(await listedOne('follower')).toMatchObject({ state: 'running', waiting: [{ op: 'on', count: 1 }] })
  expect(agent('remove', 'follower').status).toBe(0)
  expect(await listedOne('follower')).toBeUndefined()
})

test('of one whose run has ended by an error it is said that it begins anew, and of one that was stopped that it goes on', async () => {
  const file = written(
    'falls.ts',
    `export default { name: 'falls', async run(ctx) { await ctx.sleep('1ms'); throw new Error('no') } }`,
  )
  expect(agent('run', file).status).toBe(0)
  await until('its error', async () => (await listedOne('falls'))?.state === 'failed')
  const again = agent('resume', 'falls', '--json')
  expect(JSON.parse(again.stdout)).toMatchObject({ name: 'falls', did: 'resume', anew: true })
  await until('its error again', async () => (await listedOne('falls'))?.state === 'failed')
  expect(agent('resume', 'falls').stdout).toBe('✓ falls begins anew: its run had ended by an error\n')
  expect(agent('remove', 'falls').status).toBe(0)
  const waits = written('waits.ts', `export default { name: 'waits', run: (ctx) => ctx.sleep('1h') }`)
  for (const args of [
    ['run', waits],
    ['stop', 'waits'],
  ])
    expect(agent(...args).status).toBe(0)
  expect(JSON.parse(agent('resume', 'waits', '--json').stdout).anew).toBeUndefined()
  expect(agent('logs', 'waits')).toMatchObject({ stdout: '', stderr: 'waits has said nothing yet\n' })
  expect(agent('remove', 'waits').status).toBe(0)
})

test('less than it wants can be granted, and more cannot [agent-calls-2]', async () => {
  const file = join(dir, 'follower.ts')
  const wider = written('wider.json', '[{"capability":"light.*:command"}]')
  expect(agent('run', file, '--grant', wider)).toMatchObject({
    ...{ status: 2, stderr: expect.stringContaining('the agent does not ask for light.*:command') },
  })
  expect(agent('run', file, '--grant', join(dir, 'none.json')).stderr).toContain(
    'write "all", or a file with what it may do',
  )
  const narrow = written('narrow.json', '[{"capability":"light.kitchen_ceiling:read"}]')
  expect(agent('run', file, '--grant', narrow)).toMatchObject({ status: 0 })
  const before = await entity('light.kitchen_table')
  const ceiling = (await entity('light.kitchen_ceiling')) === 'on' ? 'off' : 'on'
  hub.run('say', `turn ${ceiling} the kitchen ceiling light`)
  await until('a refusal', async () => (await saidBy('follower')).includes('not done permission'))
  expect(await entity('light.kitchen_table')).toBe(before)
})

test('agents that come with Ganglion run by their name, with what they want', async () => {
  for (const [name, op] of [
    ['night-watch', 'on'],
    ['leak-guard', 'sleep'],
  ] as const) {
    const ran = agent('run', name, '--grant', 'all', '--json')
    expect(ran).toMatchObject({ status: 0, stderr: expect.not.stringContaining('permission') })
    const waits = async () => (await listedOne(name))?.waiting
    await until(`${name} to wait`, async () =>
      ((await waits()) as { op: string }[]).some((one) => one.op === op),
    )
    expect(await saidBy(name)).not.toContain('permission')
    expect(agent('remove', name).status).toBe(0)
  }
})

test('a bundle larger than a message reaches the device by a ticket', async () => {
  const lines = Array.from(
    { length: 4_000 },
    (_, at) => `// line ${at} of a long comment that says nothing at all`,
  )
  const file = written(
    'long.ts',
    `export default { name: 'long', async run(ctx) { await ctx.sleep('1h') } }\n${lines.join('\n')}`,
  )
  expect(agent('run', file)).toMatchObject({ status: 0 })
  expect(await listedOne('long')).toMatchObject({ state: 'running' })
})

test('a hub keeps nothing that is no bundle, or lies about its agent [agent-calls-1]', async () => {
  const manifest = '{"name":"liar","wants":["light.*:command"]}'
  const lying = `{"entry":"./a.ts","manifest":${manifest},"modules":{"./a.ts":"export default { name: 'liar', run() {} }"},"v":1}`
  const grants = '[{"capability":"light.*:command"}]'
  for (const [bundle, line] of [
    ['', /no bundle of an agent/],
    [lying, /says something else of its agent/],
    [lying.replace('"v":1', '"v":7'), /version 7, this device reads version 1/],
    [lying.replace(manifest, '{"name":"a/b"}'), /name must be a name/],
  ] as const)
    expect(await post('', { bundle, grants })).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringMatching(line) } },
    })
  const plain = lying.replace(manifest, '{"name":"liar"}')
  expect(await post('', { bundle: plain, grants })).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringMatching(/does not ask for/) } },
  })
  expect(await post('', { bundle: plain, grants: '{' })).toMatchObject({ status: 400 })
  expect(await post('', { bundle: 'x'.repeat(2 ** 20 + 1), grants: '' })).toMatchObject({ status: 400 })
  expect(await post('/liar/stop', {})).toMatchObject({ status: 404 })
  expect(await listedOne('liar')).toBeUndefined()
})
