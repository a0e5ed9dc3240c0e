/** The whole way from a picture to entities: the real ffmpeg, the shipped models of people and faces, the real engine process. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHal } from '../../hal/index.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { models } from '../../runtime/inference/models/index.ts'
import { engineModelOf } from '../../runtime/inference/store/engine-model.ts'
import { parseManifest } from '../../runtime/inference/store/manifest.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { Perception } from '../../runtime/perception/perception.ts'
import { EntityRegistry } from '../../runtime/things/registry.ts'

const never = new AbortController().signal
const folder = mkdtempSync(join(tmpdir(), 'seeing-'))
const picture = (name: string) => fileURLToPath(new URL(`../fixtures/images/${name}`, import.meta.url))
const deps = { clock: realClock, log: silentLog }
let engine: EngineSupervisor

const noFfmpeg = spawnSync('ffmpeg', ['-version']).status !== 0

beforeAll(async () => {
  await using store = await ModelStore.open(deps, { dir: folder, manifests: models }, never)
  const local = []
  for (const name of ['person', 'ultra-light-face-320']) {
    const manifest = parseManifest(models.find((model) => model.name === name))
    local.push(engineModelOf(manifest, (await store.ensure(name, { signal: never })).files))
  }
  engine = await EngineSupervisor.open(deps, { models: local }, never)
})
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

async function see(name: string) {
  const { perception: config } = loadDeviceConfig({
    perception: {
      seeing: [{ id: 'eye', source: { file: picture(name) }, find: ['person', 'face'], framesPerS: 10 }],
    },
  } as never)
  const registry = new EntityRegistry([])
  const events: object[] = []
  const both = Promise.withResolvers<void>()
  registry.onReport(() => {
    if (registry.view().entities.every(({ telemetry }) => telemetry.state !== 'unknown')) both.resolve()
  })
  await using perception = await Perception.open(
    {
      ...{
        clock: realClock,
        log: silentLog,
        inference: engine,
        registry,
        camera: undefined,
        hal: createHal([]),
        stateDir: folder,
      },
      publishEvent: async (kind, event) => events.push({ kind, ...event }),
    },
    config,
    never,
  )
  await both.promise
  const states = registry.view().entities.map(({ info, telemetry }) => `${info.id} ${telemetry.state}`)
  return { states, events, problems: perception.problems }
}

test('a picture of somebody says so, with one face, and a cup on a table is nobody', async (ctx) => {
  ctx.skip(noFfmpeg, 'needs ffmpeg (apt install ffmpeg)')
  const astronaut = await see('astronaut.png')
  expect(astronaut.states).toEqual(['binary_sensor.eye_person on', 'sensor.eye_faces 1'])
  expect(astronaut.problems).toEqual([])
  expect(astronaut.events).toMatchObject([
    { kind: 'seen', source: 'eye', what: 'person', state: 'on' },
    { kind: 'seen', source: 'eye', what: 'face', state: '1' },
  ])
  expect((await see('coffee.png')).states).toEqual(['binary_sensor.eye_person off', 'sensor.eye_faces 0'])
})
