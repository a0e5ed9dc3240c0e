import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Progress } from '../../../runtime/inference/store/fetch.ts'
import {
  closedPort,
  leftovers,
  manifestOf,
  never,
  openStore,
  registry,
  sampleBytes,
  tempDir,
  tgz,
} from './fixtures.ts'

const encoder = sampleBytes(200_000, 'encoder')
const decoder = sampleBytes(70_000, 'decoder')
const name = '@ganglion-test/weights'
const spec = `${name}@1.2.3`
const manifest = {
  ...manifestOf('speech', [
    { role: 'encoder', source: `npm:${spec}#dist/encoder.onnx`, content: encoder },
    { role: 'decoder', source: `npm:${spec}#dist/decoder.onnx`, content: decoder },
  ]),
  packageBytes: { [spec]: 270_000 },
}
const packageJson = Buffer.from(JSON.stringify({ name, version: '1.2.3' }))
const whole = tgz([
  { path: 'package/package.json', content: packageJson },
  { path: 'package/dist/decoder.onnx', content: decoder },
  { path: 'package/dist/encoder.onnx', content: encoder },
])

/** npm reads its configuration from the environment, as it would from a user's .npmrc. */
const useRegistry = (url: string) => vi.stubEnv('npm_config_registry', url)
afterEach(() => vi.unstubAllEnvs())

describe('files of an npm package, fetched by npm itself', () => {
  test('come out of the tarball that the configured registry serves, in one download', async () => {
    await using dir = await tempDir()
    await using server = await registry(name, '1.2.3', whole)
    useRegistry(server.url)
    const progress: Progress[] = []
    const store = await openStore(dir.path, manifest)
    const model = await store.ensure('speech', { signal: never, onProgress: (step) => progress.push(step) })
    expect(await readFile(model.files['encoder'] ?? '')).toEqual(encoder)
    expect(await readFile(model.files['decoder'] ?? '')).toEqual(decoder)
    expect(server.requests.filter((request) => request.url?.endsWith('.tgz'))).toHaveLength(1)
    expect(progress[0]).toEqual({
      model: 'speech',
      file: spec,
      receivedBytes: 0,
      totalBytes: 270_000,
      phase: 'fetch',
    })
    expect(progress.at(-1)).toMatchObject({ file: 'encoder.onnx', receivedBytes: 200_000, phase: 'unpack' })
    expect(await leftovers(dir.path)).toEqual([])
  })

  // About this much unread is unpacked but not yet taken when the last wanted file is done.
  test.each([60_000, 80_000, 100_000, 120_000, 160_000])(
    'come out whole with %i bytes unread behind them',
    async (length) => {
      await using dir = await tempDir()
      const archive = tgz([
        { path: 'package/dist/decoder.onnx', content: decoder },
        { path: 'package/rest', content: randomBytes(length) },
      ])
      await using server = await registry(name, '1.2.3', archive)
      useRegistry(server.url)
      const wanted = [{ role: 'decoder', source: `npm:${spec}#dist/decoder.onnx`, content: decoder }]
      const store = await openStore(dir.path, manifestOf('speech', wanted))
      const { files } = await store.ensure('speech', { signal: never })
      expect(await readFile(files['decoder'] ?? '')).toEqual(decoder)
    },
  )

  test('are fetched again when the connection breaks', async () => {
    await using dir = await tempDir()
    await using server = await registry(name, '1.2.3', whole, (response, attempt) => {
      if (attempt > 1) return true
      response.setHeader('content-length', whole.length)
      response.write(whole.subarray(0, 1000), () => response.destroy())
      return false
    })
    useRegistry(server.url)
    const store = await openStore(dir.path, manifest)
    const model = await store.ensure('speech', { signal: never })
    expect(await readFile(model.files['decoder'] ?? '')).toEqual(decoder)
  })

  test('are source-unreachable when the registry is, in one line that says what to do', async () => {
    await using dir = await tempDir()
    useRegistry(await closedPort())
    const store = await openStore(dir.path, manifest)
    const failure = store.ensure('speech', { signal: never })
    await expect(failure).rejects.toMatchObject({ code: 'source-unreachable', retryable: true })
    await expect(failure).rejects.toThrow(/npm config get registry/)
    await expect(failure).rejects.not.toThrow(/\n/)
    expect(await leftovers(dir.path)).toEqual([])
  })

  test('are not-found when the registry lacks the package or the package lacks the file', async () => {
    await using dir = await tempDir()
    await using other = await registry('@ganglion-test/other', '1.0.0', whole)
    useRegistry(other.url)
    const store = await openStore(dir.path, manifest)
    await expect(store.ensure('speech', { signal: never })).rejects.toMatchObject({ code: 'not-found' })
    await using server = await registry(
      name,
      '1.2.3',
      tgz([{ path: 'package/dist/decoder.onnx', content: decoder }]),
    )
    useRegistry(server.url)
    await expect(store.ensure('speech', { signal: never })).rejects.toThrow(/has no file dist\/encoder\.onnx/)
  })

  test('are refused when the archive has a path that climbs out [store-7]', async () => {
    await using dir = await tempDir()
    const hostile = tgz([
      { path: 'package/../../../escaped', content: Buffer.from('x') },
      { path: 'package/dist/decoder.onnx', content: decoder },
    ])
    await using server = await registry(name, '1.2.3', hostile)
    useRegistry(server.url)
    const store = await openStore(dir.path, manifest)
    const failure = store.ensure('speech', { signal: never })
    await expect(failure).rejects.toMatchObject({ code: 'malformed' })
    await expect(failure).rejects.toThrow(/unsafe path/)
    expect(await leftovers(dir.path)).toEqual([])
  })

  test('are refused when the archive is no gzip file', async () => {
    await using dir = await tempDir()
    await using server = await registry(name, '1.2.3', Buffer.from('no archive at all'))
    useRegistry(server.url)
    const store = await openStore(dir.path, manifest)
    await expect(store.ensure('speech', { signal: never })).rejects.toMatchObject({ code: 'malformed' })
  })

  test('stop coming when cancelled: npm is ended', async () => {
    await using dir = await tempDir()
    const abort = new AbortController()
    await using server = await registry(name, '1.2.3', whole, () => {
      abort.abort()
      return false
    })
    useRegistry(server.url)
    const store = await openStore(dir.path, manifest)
    await expect(store.ensure('speech', { signal: abort.signal })).rejects.toMatchObject({
      code: 'cancelled',
    })
    expect(await leftovers(dir.path)).toEqual([])
  })
})
