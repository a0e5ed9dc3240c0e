/** Models that Ganglion knows, as their files come and go under a device that runs: a real store, a real folder. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { VirtualClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { ServedModels } from '../../runtime/inference/served-models.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { addModel } from '../fixtures/onnx.ts'
import { forever, openSupervisor, until } from './engine-setup.ts'

const file = addModel()
const sha256 = createHash('sha256').update(file).digest('hex')
const tensor = (name: string) => ({ name, datatype: 'FP32', shape: [-1], description: 'numbers' })
const known = {
  ...{ name: 'adder', version: '1', description: 'adds', licence: 'MIT', attribution: 'us', memoryMb: 1 },
  ...{ pipeline: 'tensor', inputs: [tensor('a'), tensor('b')], outputs: [tensor('sum')] },
  files: [{ role: 'model', path: 'm.onnx', source: 'https://example.org/m', sha256, bytes: file.length }],
}

test('what another process fetches is served within seconds, and what it removes is served no more', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'served-known-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(dir, { recursive: true }))
  const deps = { clock: new VirtualClock(), log: silentLog }
  const store = stack.use(await ModelStore.open(deps, { dir, manifests: [known] }, forever))
  const engines = await openSupervisor({ models: [] })
  const served = stack.use(await ServedModels.open({ ...deps, store, engines }, {}, forever))
  const is = (here: boolean) =>
    until(here ? 'it is served' : 'it is gone', () => {
      deps.clock.advance(2_000)
      return (served.get('adder') !== undefined) === here
    })
  expect(served.get('adder')).toBeUndefined()
  mkdirSync(join(dir, 'blobs'))
  writeFileSync(join(dir, 'blobs', sha256), file)
  await is(true)
  expect(engines.models.map(({ name }) => name)).toEqual(['adder'])
  await store.remove('adder')
  await is(false)
  expect(engines.models).toEqual([])
  expect(served.whyNot('adder')).toContain('ganglion models pull adder')
})
