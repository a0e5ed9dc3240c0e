/** Two whole devices on a real broker: an agent of one senses and commands things of the other, granted and on record. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { boards } from '../../boards/index.ts'
import { createHal } from '../../hal/index.ts'
import { contentOf } from '../../runtime/agent/bundle/bundle.ts'
import { programOfFile } from '../../runtime/agent/bundle/program-of-file.ts'
import { MachinePool } from '../../runtime/agent/vm/machine-pool.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { Runtime } from '../../runtime/runtime.ts'
import { decodeCbor, encodeCbor } from '../../runtime/wire/cbor.ts'
import { Peer, startAedes } from '../fixtures/broker.ts'
import { smallHome } from '../fixtures/sim-home.ts'
import { until } from '../fixtures/site.ts'

const atticHome = `
areas: [{ id: attic, name: Attic }]
entities:
  - { id: light.attic, name: Attic Light, area: attic, state: 'off' }
`
const follower = `import { agent } from 'ganglion'
export default agent({
  name: 'follower',
  wants: ['light.hall@hub:read', 'light.hall@hub:command', 'light.attic:command'],
  async run(ctx) {
    const own = ctx.entity('light.attic')
    const { shown } = await ctx.entity('light.hall@hub').command({ state: 'on' })
    await own.command({ state: 'on' })
    const codes = []
    for (const id of ['switch.pump@hub', 'light.attic@attic'])
      await ctx.entity(id).command({ state: 'on' }).catch((error) => codes.push(error.code))
    ctx.log(shown, ...codes)
    for await (const seen of ctx.on('light.hall@hub', { to: 'off' })) await own.command({ state: seen.state })
  },
})`

test('an agent of one device does with the other’s things what it was granted, and no more', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'remote-runtimes-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(dir, { recursive: true, force: true }))
  const broker = stack.use(await startAedes())
  const peer = stack.use(await Peer.connect(broker.url))
  const open = async (id: string, yaml: string) => {
    const file = join(dir, `${id}.yaml`)
    const device = {
      ...{ id, stateDir: join(dir, id), hostSensors: false, models: { dir: join(dir, 'models') } },
      ...{ broker: { url: broker.url }, voice: { enabled: false } },
    }
    writeFileSync(file, JSON.stringify({ device }))
    const deps = { clock: realClock, log: silentLog, hal: createHal(boards), home: { name: id, yaml } }
    return stack.use(await Runtime.open(deps, loadDeviceConfig({}, file), AbortSignal.timeout(60_000)))
  }
  const [hub, attic] = [await open('hub', smallHome), await open('attic', atticHome)]
  const source = join(dir, 'follower.ts')
  writeFileSync(source, follower)
  await using pool = new MachinePool({ clock: realClock, log: silentLog }, { threadsMax: 1 })
  const { text } = await contentOf(pool, programOfFile(source))
  const grants = ['light.hall@hub:read', 'light.hall@hub:command', 'light.attic:command']
  const call = { id: 'run-1', replyTo: 'test/reply', deadlineMs: 60_000, ask: 'run', bundle: text }
  const asked = { ...call, grants: JSON.stringify(grants.map((capability) => ({ capability }))) }
  await peer.say('ganglion/attic/rpc/agent', encodeCbor(asked))
  const reply = await peer.hear('it runs', ({ topic }) => topic === 'test/reply', 60_000)
  expect(decodeCbor(reply.payload, 100_000)).toMatchObject({ value: { ok: true } })

  const state = (device: Runtime, id: string) => device.registry.get(id)?.telemetry.state
  await until(
    'it has done both',
    () => state(hub, 'light.hall') === 'on' && state(attic, 'light.attic') === 'on',
    60_000,
  )
  const logs = {
    id: 'logs-1',
    replyTo: 'test/logs',
    deadlineMs: 60_000,
    ask: 'logs',
    name: 'follower',
    lines: 10,
  }
  await until('it has said so', async () => {
    await peer.say('ganglion/attic/rpc/agent', encodeCbor({ ...logs, id: `logs-${peer.heard.length}` }))
    return peer.heard.some(
      ({ topic, payload }) => topic === 'test/logs' && payload.includes('permission permission'),
    )
  })
  const set = (to: string) =>
    hub.assistant.command(
      { entity: 'light.hall', command: { state: to }, principal: 'user' },
      AbortSignal.timeout(30_000),
    )
  await until('it follows', async () => {
    await set('on')
    await set('off')
    return state(attic, 'light.attic') === 'off'
  })
  const audit = join(dir, 'hub', 'audit')
  const written = (await readdir(audit)).map((name) => readFileSync(join(audit, name), 'utf8')).join('')
  expect(written).toContain('"principal":"agent:follower@attic"')
  expect(state(hub, 'switch.pump')).toBe('off')
}, 120_000)
