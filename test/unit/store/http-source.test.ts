import { spawn } from 'node:child_process'
import { chmod, mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import type { Progress } from '../../../runtime/inference/store/fetch.ts'
import { ModelStore } from '../../../runtime/inference/store/store.ts'
import {
  closedPort,
  leftovers,
  manifestOf,
  never,
  openStore,
  sampleBytes,
  serve,
  sha256,
  tempDir,
} from './fixtures.ts'

const content = sampleBytes(300_000)
const one = (source: string, overrides: { sha256?: string } = {}) =>
  manifestOf('one', [{ role: 'model', source, content, ...overrides }])

/** A server that sends the first 100 kB, and cuts the connection when `onProgress` says that they have arrived. */
async function cuttingServer(onAgain: (request: IncomingMessage, response: ServerResponse) => void) {
  let first: ServerResponse | undefined
  const server = await serve((request, response) => {
    if (first) return onAgain(request, response)
    first = response
    response.setHeader('etag', '"v1"')
    response.setHeader('content-length', content.length)
    response.write(content.subarray(0, 100_000))
  })
  const onProgress = ({ receivedBytes }: Progress) => {
    if (receivedBytes === 100_000) first?.destroy()
  }
  return { server, onProgress }
}

/** Answers a range request as RFC 9110 says. */
function answerRange(range: string, response: ServerResponse): void {
  const from = Number(/bytes=(\d+)-/.exec(range)?.[1])
  response.statusCode = 206
  response.setHeader('content-range', `bytes ${from}-${content.length - 1}/${content.length}`)
  response.end(content.subarray(from))
}

describe('a file over HTTP', () => {
  test('lands whole, and a second run needs no network [store-1] [store-2]', async () => {
    await using dir = await tempDir()
    const server = await serve((_request, response) => response.end(content))
    const manifest = one(`${server.url}/model.onnx`)
    const progress: Progress[] = []
    const store = await openStore(dir.path, manifest)
    expect(await store.local('one')).toBeUndefined()
    const model = await store.ensure('one', { signal: never, onProgress: (step) => progress.push(step) })
    expect(await readFile(model.files['model'] ?? '')).toEqual(content)
    expect(progress.at(-1)).toEqual({
      model: 'one',
      file: 'model.onnx',
      receivedBytes: content.length,
      totalBytes: content.length,
      phase: 'fetch',
    })
    await server[Symbol.asyncDispose]()
    const offline = await openStore(dir.path, manifest)
    expect(await offline.ensure('one', { signal: never })).toEqual(model)
    expect(await leftovers(dir.path)).toEqual([])
  })

  test('goes on where a cut connection stopped [store-4]', async () => {
    await using dir = await tempDir()
    const { server, onProgress } = await cuttingServer((request, response) =>
      answerRange(request.headers.range ?? '', response),
    )
    await using _server = server
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`))
    const model = await store.ensure('one', { signal: never, onProgress })
    expect(sha256(await readFile(model.files['model'] ?? ''))).toBe(sha256(content))
    expect(server.requests.at(-1)?.headers).toMatchObject({ range: 'bytes=100000-', 'if-range': '"v1"' })
    expect(await leftovers(dir.path)).toEqual([])
  })

  test('starts again when the server has another version by now', async () => {
    await using dir = await tempDir()
    const { server, onProgress } = await cuttingServer((_request, response) => response.end(content))
    await using _server = server
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`))
    const model = await store.ensure('one', { signal: never, onProgress })
    expect(sha256(await readFile(model.files['model'] ?? ''))).toBe(sha256(content))
    expect(server.requests.at(-1)?.headers.range).toBe('bytes=100000-')
  })

  test('starts again when the server gave no strong validator', async () => {
    await using dir = await tempDir()
    await using server = await serve((_request, response) => {
      response.setHeader('etag', 'W/"weak"')
      if (server.requests.length > 1) response.end(content)
      else response.write(content.subarray(0, 50_000), () => response.destroy())
    })
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`))
    await store.ensure('one', { signal: never })
    expect(server.requests.map((request) => request.headers.range)).toEqual([undefined, undefined])
  })

  test('with a wrong digest is refused, both digests shown, nothing left behind [store-3]', async () => {
    await using dir = await tempDir()
    await using server = await serve((_request, response) => response.end(content))
    const wanted = 'ab'.repeat(32)
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`, { sha256: wanted }))
    const failure = store.ensure('one', { signal: never })
    await expect(failure).rejects.toMatchObject({ code: 'digest', retryable: false })
    await expect(failure).rejects.toThrow(new RegExp(`${wanted}.*${sha256(content)}`))
    await expect(failure).rejects.not.toThrow(/\n/)
    expect(await leftovers(dir.path)).toEqual([])
    expect(await store.local('one')).toBeUndefined()
  })

  test('that is too short or too long is refused [store-3]', async () => {
    for (const wrong of [content.subarray(0, 1000), Buffer.concat([content, content])]) {
      await using dir = await tempDir()
      await using server = await serve((_request, response) => response.end(wrong))
      const store = await openStore(dir.path, one(`${server.url}/model.onnx`))
      await expect(store.ensure('one', { signal: never })).rejects.toMatchObject({ code: 'digest' })
      expect(await leftovers(dir.path)).toEqual([])
    }
  })

  test('that does not exist is not-found, a broken server or a closed port source-unreachable', async () => {
    await using dir = await tempDir()
    await using server = await serve((request, response) => {
      response.statusCode = request.url === '/gone' ? 404 : 503
      response.end()
    })
    const cases = [
      [`${server.url}/gone`, 'not-found'],
      [`${server.url}/broken`, 'source-unreachable'],
      [`${await closedPort()}/model.onnx`, 'source-unreachable'],
    ] as const
    for (const [source, code] of cases) {
      const store = await openStore(dir.path, one(source))
      await expect(store.ensure('one', { signal: never })).rejects.toMatchObject({ code })
    }
  })

  test('is not fetched through a redirect to plain HTTP elsewhere [store-5]', async () => {
    await using dir = await tempDir()
    await using server = await serve((_request, response) => {
      response.writeHead(302, { location: 'http://models.invalid/model.onnx' }).end()
    })
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`))
    await expect(store.ensure('one', { signal: never })).rejects.toThrow(
      /redirect to an address that is not https/,
    )
  })

  test('stops when cancelled, and goes on later', async () => {
    await using dir = await tempDir()
    const abort = new AbortController()
    await using server = await serve((request, response) => {
      if (request.headers.range) return answerRange(request.headers.range, response)
      response.setHeader('etag', '"v1"')
      response.write(content.subarray(0, 100_000))
    })
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`))
    const cancelled = store.ensure('one', { signal: abort.signal, onProgress: () => abort.abort() })
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' })
    await store.ensure('one', { signal: never })
    expect(server.requests.at(-1)?.headers.range).toMatch(/^bytes=[1-9]/)
  })
})

describe('the store', () => {
  test('fetches once when several ask at the same time [store-6]', async () => {
    await using dir = await tempDir()
    await using server = await serve((_request, response) => response.end(content))
    const manifest = one(`${server.url}/model.onnx`)
    const stores = await Promise.all([1, 2, 3].map(() => openStore(dir.path, manifest)))
    const models = await Promise.all(
      stores.flatMap((store) => [
        store.ensure('one', { signal: never }),
        store.ensure('one', { signal: never }),
      ]),
    )
    expect(new Set(models.map((model) => model.files['model'])).size).toBe(1)
    expect(server.requests).toHaveLength(1)
  })

  test('waits for another process that is fetching, and fetches nothing itself [store-6]', async () => {
    await using dir = await tempDir()
    let arrived: (response: ServerResponse) => void = () => {}
    const asked = new Promise<ServerResponse>((resolve) => {
      arrived = resolve
    })
    await using server = await serve((_request, response) => arrived(response))
    const manifest = one(`${server.url}/model.onnx`)
    const child = runChild(dir.path, manifest)
    const response = await asked
    const phases: string[] = []
    const onProgress = ({ phase }: Progress) => {
      phases.push(phase)
      response.end(content)
    }
    const store = await openStore(dir.path, manifest)
    const model = await store.ensure('one', { signal: never, onProgress })
    expect(phases).toEqual(['waiting'])
    expect(await readFile(model.files['model'] ?? '')).toEqual(content)
    expect(server.requests).toHaveLength(1)
    await child.closed
  })

  test('gives up after two hours, in one line', async () => {
    await using dir = await tempDir()
    const clock = new VirtualClock()
    await using server = await serve(() => clock.advance(2 * 60 * 60_000))
    const options = { dir: dir.path, manifests: [one(`${server.url}/model.onnx`)] }
    const store = await ModelStore.open({ clock, log: silentLog }, options, never)
    const failure = store.ensure('one', { signal: never })
    await expect(failure).rejects.toMatchObject({ code: 'source-unreachable' })
    await expect(failure).rejects.toThrow(/took more than 120 minutes/)
  })

  test('survives a process killed half way: its part is used, the rest is swept away [store-4] [store-6]', async () => {
    await using dir = await tempDir()
    let half: (() => void) | undefined
    const reachedHalf = new Promise<void>((resolve) => {
      half = resolve
    })
    await using server = await serve((request, response) => {
      if (request.headers.range) return answerRange(request.headers.range, response)
      response.setHeader('etag', '"v1"')
      response.write(content.subarray(0, 150_000))
    })
    const manifest = one(`${server.url}/model.onnx`)
    const child = runChild(dir.path, manifest)
    child.process.stdout.on('data', () => half?.())
    await reachedHalf
    child.process.kill('SIGKILL')
    await child.closed
    await mkdir(join(dir.path, 'tmp', 'npm'), { recursive: true })
    await writeFile(join(dir.path, 'tmp', 'npm', 'half.tgz'), 'half')
    const store = await openStore(dir.path, manifest)
    expect(await store.local('one')).toBeUndefined()
    const model = await store.ensure('one', { signal: never })
    expect(sha256(await readFile(model.files['model'] ?? ''))).toBe(sha256(content))
    expect(server.requests.at(-1)?.headers.range).toMatch(/^bytes=[1-9]/)
    expect(await leftovers(dir.path)).toEqual([])
  })

  test('does not take a file of another size for whole [store-1]', async () => {
    await using dir = await tempDir()
    await using server = await serve((_request, response) => response.end(content))
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`))
    const model = await store.ensure('one', { signal: never })
    await truncate(model.files['model'] ?? '', 10)
    expect(await store.local('one')).toBeUndefined()
    await store.ensure('one', { signal: never })
    expect((await stat(model.files['model'] ?? '')).size).toBe(content.length)
  })

  test('says disk and what to do when its folder cannot be written', async () => {
    await using dir = await tempDir()
    const file = join(dir.path, 'in-the-way')
    await writeFile(file, '')
    await using server = await serve((_request, response) => response.end(content))
    const store = await openStore(join(file, 'models'), one(`${server.url}/model.onnx`))
    const failure = store.ensure('one', { signal: never })
    await expect(failure).rejects.toMatchObject({ code: 'disk' })
    await expect(failure).rejects.toThrow(/in-the-way.*GANGLION_MODELS_DIR/)
  })

  test('says disk when its folder is read-only', async ({ skip }) => {
    skip(process.getuid?.() === 0, 'the superuser may write anywhere')
    await using dir = await tempDir()
    await chmod(dir.path, 0o500)
    const store = await openStore(dir.path, one('https://models.invalid/model.onnx'))
    await expect(store.ensure('one', { signal: never })).rejects.toMatchObject({ code: 'disk' })
    await chmod(dir.path, 0o700)
  })

  test('copies from a file, and says not-found when there is none', async () => {
    await using dir = await tempDir()
    const path = join(dir.path, 'given.onnx')
    const store = await openStore(join(dir.path, 'store'), one(pathToFileURL(path).href))
    await expect(store.ensure('one', { signal: never })).rejects.toMatchObject({ code: 'not-found' })
    await writeFile(path, content)
    const model = await store.ensure('one', { signal: never })
    expect(await readFile(model.files['model'] ?? '')).toEqual(content)
  })

  test('lists what is here, and removes a model but not what another one shares', async () => {
    await using dir = await tempDir()
    const own = sampleBytes(100, 'own')
    await using server = await serve((request, response) =>
      response.end(request.url === '/own' ? own : content),
    )
    const both = manifestOf('both', [
      { role: 'shared', source: `${server.url}/shared`, content },
      { role: 'own', source: `${server.url}/own`, content: own },
    ])
    const store = await openStore(dir.path, one(`${server.url}/model.onnx`), both)
    await store.ensure('both', { signal: never })
    expect((await store.list()).map(({ manifest, present }) => [manifest.name, present])).toEqual([
      ['one', true],
      ['both', true],
    ])
    await store.remove('both')
    expect((await store.list()).map(({ present }) => present)).toEqual([true, false])
  })

  test('names the known models when asked for another one', async () => {
    await using dir = await tempDir()
    const store = await openStore(dir.path, one('https://models.invalid/model.onnx'))
    await expect(store.ensure('two', { signal: never })).rejects.toThrow(
      /no model named two; known models: one/,
    )
  })

  test('cancels its fetches when closed', async () => {
    await using dir = await tempDir()
    let store: Awaited<ReturnType<typeof openStore>> | undefined
    await using server = await serve(() => void store?.[Symbol.asyncDispose]())
    store = await openStore(dir.path, one(`${server.url}/model.onnx`))
    await expect(store.ensure('one', { signal: never })).rejects.toMatchObject({ code: 'cancelled' })
  })
})

function runChild(dir: string, manifest: unknown) {
  const args = ['--input-type=module-typescript', '-e', childProgram(dir, manifest)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  return { process: child, closed: new Promise((resolve) => child.on('close', resolve)) }
}

/** Fetches in a process of its own and says when half is there. */
function childProgram(dir: string, manifest: unknown): string {
  const module = (path: string) => JSON.stringify(new URL(`../../../runtime/${path}`, import.meta.url).href)
  return `
    import { ModelStore } from ${module('inference/store/store.ts')}
    import { realClock } from ${module('base/clock.ts')}
    import { silentLog } from ${module('base/log.ts')}
    const signal = new AbortController().signal
    const options = { dir: ${JSON.stringify(dir)}, manifests: [${JSON.stringify(manifest)}] }
    const store = await ModelStore.open({ clock: realClock, log: silentLog }, options, signal)
    const onProgress = (step) => step.receivedBytes >= 150000 && console.log('half')
    await store.ensure('one', { signal, onProgress })
  `
}
