/** `ganglion agent move` on a hub with two devices, by the real command line: what an agent may do and remembers goes along. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHub, type TestHub, until } from '../fixtures/hub.ts'

let dir: string
let hub: TestHub
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cli-agent-move-'))
  hub = await openHub(['--no-voice', '--no-demo', '--devices', '2'])
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
}
/** Those of this test: the home has its own. */
const own: ReadonlySet<string> = new Set(['rememberer', 'opener'])
const on = async (device: string) => {
  const answer = await fetch(`${hub.ready.http}/api/devices/${device}/agents`)
  const { agents } = (await answer.json()) as { agents: Listed[] }
  return agents.filter(({ name }) => own.has(name))
}
const devices = async () => {
  const answer = await fetch(`${hub.ready.http}/api/devices`)
  return ((await answer.json()) as { devices: { id: string; availability: string }[] }).devices
}
const written = (name: string, text: string) => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

const rememberer = `import { agent } from 'ganglion'
export default agent({
  name: 'rememberer',
  wants: ['memory'],
  async run(ctx) {
    await ctx.memory.set('where', await ctx.device())
    await ctx.memory.note('it was warm in the kitchen')
    for (let at = 0; ; at += 1) {
      await ctx.sleep('1s')
      const now = await ctx.device()
      const [episode] = await ctx.memory.search('kitchen')
      if (now !== (await ctx.memory.get('where'))) return [await ctx.memory.get('where'), now, episode.text]
    }
  },
})`

test('an agent goes from one device to the other with what it remembers, and is told where it is', async () => {
  await until(
    'two devices',
    async () => (await devices()).filter(({ availability }) => availability === 'online').length === 2,
  )
  const from = hub.ready.device
  const to = (await devices()).find(({ id }) => id !== from)?.id ?? ''
  const file = written('rememberer.ts', rememberer)
  expect(agent('run', file, '--grant', 'all', '--device', from)).toMatchObject({ status: 0 })
  expect(agent('move', 'rememberer', 'nowhere', '--device', from)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('no device called nowhere is known here'),
  })
  expect(agent('move', 'rememberer', to, '--device', from)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(new RegExp(`rememberer is on ${to} now`)),
  })
  expect(await on(from)).toEqual([])
  await until('its end', async () => (await on(to))[0]?.state === 'ended')
  const [ended] = await on(to)
  expect(JSON.parse(ended?.reason ?? '')).toEqual([from, to, 'it was warm in the kitchen'])
}, 90_000)

test('it is refused where the other device has nothing of what it may do, in one line', async () => {
  const from = hub.ready.device
  const to = (await devices()).find(({ id }) => id !== from)?.id ?? ''
  const file = written(
    'opener.ts',
    `import { agent } from 'ganglion'
export default agent({ name: 'opener', wants: ['infer:person-detector'], run: (ctx) => ctx.sleep('1d') })`,
  )
  expect(agent('run', file, '--grant', 'all', '--device', from)).toMatchObject({ status: 0 })
  expect(agent('move', 'opener', to, '--device', from)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/does not take it: it cannot run the model person-detector/),
  })
  expect(await on(from)).toMatchObject([{ name: 'opener', state: 'running' }])
}, 60_000)

const asker = `import { agent } from 'ganglion'
export default agent({ name: 'asker', wants: ['ask'], run: (ctx) => ctx.ask('Is it cold?', { choices: ['yes', 'no'] }) })`

test('what waits for a person is found on whichever device it waits', async () => {
  const all = await devices()
  const last =
    all
      .map(({ id }) => id)
      .sort()
      .at(-1) ?? ''
  const began = agent('run', written('asker.ts', asker), '--grant', 'all', '--device', last)
  expect(began.status, began.stderr).toBe(0)
  const waiting = (): { id: string; agent: string; device: string }[] =>
    JSON.parse(hub.run('approvals', '--json').stdout).approvals.filter(
      (one: { agent: string }) => one.agent === 'asker',
    )
  await until('a question', () => waiting().length === 1)
  const [question] = waiting()
  expect(question?.device).toBe(last)
  expect(hub.run('approvals').stdout).toContain(`${question?.id}  asker on ${last} asks: Is it cold?`)
  const unknown = hub.run('approve', '0123456789abcdef0123', 'yes')
  expect(unknown.stderr).toContain('nothing of the id 0123456789abcdef0123 waits for an answer on')
  expect(unknown.status).toBe(2)
  expect(hub.run('approve', question?.id ?? '', 'yes').stdout).toBe('asker was told yes: Is it cold?\n')
})

test('an agent is found on the device that has it, and the list is of all devices [cli-8]', async () => {
  const all = (await devices()).map(({ id }) => id).sort()
  const last = all.at(-1) ?? ''
  const sleeper = `import { agent } from 'ganglion'
export default agent({ name: 'sleeper', wants: [], run: async (ctx) => { ctx.log('good night'); await ctx.sleep('1d') } })`
  const file = written('sleeper.ts', sleeper)
  expect(agent('run', file, '--grant', 'all')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining(`several devices are online, name one with --device: ${all.join(', ')}`),
  })
  expect(agent('run', file, '--grant', 'all', '--device', last)).toMatchObject({ status: 0 })
  expect(agent('list').stdout).toMatch(new RegExp(`^name +device +state .*^sleeper +${last} +running`, 'ms'))
  expect(agent('list', '--device', last).stdout).toMatch(/^name +state .*^sleeper +running/ms)
  const { agents } = JSON.parse(agent('list', '--json').stdout)
  expect(agents).toContainEqual(expect.objectContaining({ name: 'sleeper', device: last, state: 'running' }))
  await until('its first words', () => agent('logs', 'sleeper').stdout.includes('good night'))
  expect(agent('grant', 'sleeper').stdout).toContain('sleeper may do nothing')
  expect(JSON.parse(agent('stop', 'sleeper', '--json').stdout)).toMatchObject({ device: last, did: 'stop' })
  for (const change of ['stop', 'resume', 'remove', 'logs', 'grant'])
    expect(agent(change, 'nobody')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(
        `there is no agent called nobody on ${all.join(', ')}: "ganglion agent list"`,
      ),
    })
  expect(agent('remove', 'sleeper')).toMatchObject({ status: 0 })
  expect(agent('list').stdout).not.toContain('sleeper')
}, 60_000)
