/** What is recorded of an agent goes along with it: on whichever device it ends, its whole run can be run once more. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parsedContent } from '../../runtime/agent/bundle/bundle.ts'
import { Recordings } from '../../runtime/agent/replay/recordings.ts'
import { replay } from '../../runtime/agent/replay/replay.ts'
import { readRunFile } from '../../runtime/agent/replay/run-file.ts'
import { readEngineFiles } from '../../runtime/agent/vm/engine-files.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { MovingDevice, type MovingDeviceDeps, stepping } from '../fixtures/agent/moving-device.ts'
import { ScriptedService } from '../fixtures/agent/scripted-service.ts'
import { startAedes } from '../fixtures/broker.ts'
import { JumpingClock } from '../fixtures/jumping-clock.ts'
import { openSite, type SiteDevice, until } from '../fixtures/site.ts'

let stack: AsyncDisposableStack
let sites: SiteDevice[]
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  const broker = stack.use(await startAedes())
  sites = (await openSite(broker.url, ['hub', 'cellar'])).map((site) => stack.use(site))
})
afterEach(() => stack.disposeAsync())

interface Here {
  readonly device: MovingDevice
  readonly service: ScriptedService
  readonly recordings: Recordings
  /** Names of the files. */
  readonly files: () => readonly string[]
  readonly folder: string
}

async function opened(at: 0 | 1, more: Partial<MovingDeviceDeps> = {}, runBytesMax = 1e6): Promise<Here> {
  const { identity, link: bus, stateDir } = sites[at] as SiteDevice
  const service = new ScriptedService(['memory.get', 'on'])
  const directory = join(stateDir, 'agents')
  const folder = join(directory, 'recordings')
  const recordings = new Recordings({ log: silentLog }, { directory: folder, bytesMax: 1e7, runBytesMax })
  const deps = { clock: new JumpingClock(), bus, identity, directory, services: [service], recordings }
  const device = stack.use(await MovingDevice.open({ ...deps, ...more }))
  const files = () => (existsSync(folder) ? readdirSync(folder) : [])
  return { device, service, recordings, files, folder }
}

const source = (last: string) =>
  stepping(
    'traveller',
    `const met = []
     for await (const seen of ctx.on('light.*')) {
       met.push([seen.n, await ctx.device()])
       if (seen.n === 9) { await ctx.memory.get('${last}'); return met }
     }`,
  )

/** It runs on the hub, is recorded, and has taken two turns. */
async function running(hub: Here): Promise<void> {
  await hub.device.run(source('last'), '[]', true)
  ;(await hub.service.nth(0)).emit({ n: 1 })
  await turns(hub, 2)
}
const turns = (here: Here, count: number) =>
  until(`${count} turns`, async () => (await here.device.agents()).list()[0]?.turns === count)
const states = async ({ device }: Here) =>
  (await device.agents()).list().map(({ name, state }) => `${name} ${state}`)

/** To its end. */
async function ends(here: Here): Promise<void> {
  const asked = () => here.service.asked.filter(({ call }) => call.op === 'on').at(-1)
  await until('it waits', () => asked() !== undefined)
  asked()?.emit({ n: 9 })
  const last = () => here.service.asked.find(({ call }) => call.op === 'memory.get')
  await until('its last question', () => last() !== undefined)
  last()?.answer('x')
  await until('its end', async () => (await states(here))[0] === 'traveller ended')
  await here.device[Symbol.asyncDispose]()
}

/** What the file of the only run here gives, with the program that it had or another. */
async function replayed({ folder, files }: Here, other?: string) {
  expect(files()).toHaveLength(1)
  const { header, turns, over } = readRunFile(readFileSync(join(folder, files()[0] ?? '')))
  const { program } = parsedContent(header.content)
  const [name = ''] = Object.keys(program.modules)
  const modules = other === undefined ? program.modules : { [name]: other }
  const wasm = await WebAssembly.compile(readEngineFiles().wasm)
  const options = { wasm, guest: header.guest, program: { ...program, modules } }
  return { ...(await replay({ ...header, turns }, options)), over, run: turns }
}

describe('a recorded agent that moves', () => {
  test('is recorded on where it comes to: its whole run is run once more there, also with a changed program [recorded-5]', async () => {
    const [hub, cellar] = [await opened(0), await opened(1)]
    await running(hub)
    await hub.device.mover.move('traveller', 'cellar')
    expect(hub.files()).toEqual([])
    await ends(cellar)
    const whole = await replayed(cellar)
    expect(whole).toMatchObject({ turns: 5, differences: [], unanswered: [], over: undefined })
    expect(whole.fault).toBeUndefined()
    expect(whole.run.flatMap(({ inputs }) => inputs.map(({ kind }) => kind))).toContain('moved')
    const changed = await replayed(cellar, source('first').replace("'light.*'", "'lamp.*'"))
    expect(changed.differences[0]).toMatchObject({ turn: 1 })
  })
})
