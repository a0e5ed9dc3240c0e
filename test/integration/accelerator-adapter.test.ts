/** Adapters that crash, hang, do not start or lie, and work that falls back to the CPU. */
import { statSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { AdapterHostOptions } from '../../hal/accelerators/adapter-host.ts'
import { FallbackAccelerator } from '../../hal/accelerators/fallback.ts'
import { OipAccelerator } from '../../hal/accelerators/oip.accelerator.ts'
import { OipClient } from '../../hal/accelerators/oip-client.ts'
import type { Accelerator } from '../../hal/contract/accelerator.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog } from '../../runtime/base/log.ts'
import { CpuAccelerator } from '../../runtime/inference/cpu-accelerator.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { engineCommand, f32, host, onnxFixtures, textModel } from './accelerator-models.ts'

const never = new AbortController().signal
const patient = { deadlineMs: 60_000 }
const { small, slow } = onnxFixtures
let stack = new AsyncDisposableStack()
afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

async function adapter(
  command: readonly [string, ...string[]] = engineCommand,
  more: Partial<AdapterHostOptions> = {},
): Promise<OipAccelerator> {
  const backoff = { firstMs: 10, maxMs: 50 }
  return stack.use(await OipAccelerator.open({ name: 'npu', command, backoff, ...more }, host))
}

/** A program that does as the script says; `$1` is its socket. */
const shell = (script: string): [string, ...string[]] => ['/bin/sh', '-c', script, 'adapter']

const sum = (accelerator: Accelerator) => accelerator.run('add', small.inputs, patient, never)
const loadAdd = (accelerator: Accelerator) => accelerator.load({ name: 'add', files: small.files }, never)

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const limit = Date.now() + 25_000
  while (!(await condition())) {
    if (Date.now() > limit) throw new Error(`waited too long until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('[accelerators-4] what an adapter had loaded is there again after a crash, without being asked for', async () => {
  const accelerator = await adapter()
  await loadAdd(accelerator)
  process.kill(accelerator.pid ?? 0, 'SIGKILL')
  await until('it is well', async () => {
    const { state, restarts } = await accelerator.health()
    return state === 'ok' && restarts === 1
  })
  expect(await sum(accelerator)).toEqual(small.outputs)
})

test('[accelerators-4] an adapter that does not start is an error with its own last line, and is given up in the end', async () => {
  const accelerator = await adapter(shell('echo noise >&2; echo "no such chip" >&2; exit 3'), {
    lossesMax: 3,
  })
  expect(await accelerator.probe(never)).toEqual({
    usable: false,
    whyNot: expect.stringMatching(/^adapter npu ended with code 3: no such chip$/),
  })
  await until('it is given up', async () => (await accelerator.health()).state === 'failed')
  const { reason, restarts } = await accelerator.health()
  expect(reason).toBe('given up for 60 s after 3 losses: ended with code 3: no such chip')
  expect(restarts).toBe(2)
  await expect(loadAdd(accelerator)).rejects.toMatchObject({ code: 'engine-lost' })
})

test('[accelerators-4] a program that is not there, and one that is never ready, are lost', async () => {
  expect(await (await adapter(['/nowhere/adapter'])).probe(never)).toMatchObject({
    usable: false,
    whyNot: expect.stringContaining('ENOENT'),
  })
  const mute = await adapter(shell('exec sleep 60'), { startDeadlineMs: 100 })
  expect(await mute.probe(never)).toMatchObject({
    usable: false,
    whyNot: expect.stringContaining('not ready within 100 ms'),
  })
})

test('[accelerators-4] one that hangs after a missed deadline is replaced', async () => {
  const accelerator = await adapter(engineCommand, { graceMs: 200 })
  await accelerator.load({ name: 'slow', files: slow.files }, never)
  const rounds = { ...slow.inputs[0], data: BigInt64Array.of(10_000_000n) } as (typeof slow.inputs)[number]
  const endless = accelerator.run('slow', [rounds, f32('x', 7)], { deadlineMs: 100 }, never)
  await expect(endless).rejects.toMatchObject({ code: 'deadline' })
  await until('it was replaced', async () => {
    const { state, restarts } = await accelerator.health()
    return state === 'ok' && restarts === 1
  })
  await loadAdd(accelerator)
  expect(await sum(accelerator)).toEqual(small.outputs)
})

test('the socket is in a folder of this user alone, which is gone with the accelerator', async () => {
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'seen-')), (path) => rm(path, { recursive: true }))
  const seen = join(folder, 'socket')
  const accelerator = await adapter(shell(`echo "$1" > ${seen}; exec ${engineCommand.join(' ')} "$1"`))
  await loadAdd(accelerator)
  const socket = (await readFile(seen, 'utf8')).trim()
  expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700)
  await accelerator[Symbol.asyncDispose]()
  expect(statSync(dirname(socket), { throwIfNoEntry: false })).toBeUndefined()
})

test('the memory cap, or why there is none, is shown', async () => {
  const accelerator = await adapter(engineCommand, { memoryMbMax: 512 })
  await loadAdd(accelerator)
  const { memoryCap } = await accelerator.health()
  expect(memoryCap).toSatisfy((cap) => cap.mb === 512 || typeof cap.whyNot === 'string')
})

test('texts go through an adapter unchanged', async () => {
  const accelerator = await adapter()
  await accelerator.load({ name: 'text', files: textModel }, never)
  const words = ['', 'grüezi', '狗', 'a\nb']
  const input = { name: 'x', datatype: 'BYTES', shape: [4], data: words } as const
  expect(await accelerator.run('text', [input], patient, never)).toEqual([{ ...input, name: 'y' }])
})

/** An adapter's answers to inference, by hand. */
async function lyingServer(
  infer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<OipClient> {
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'oip-')), (path) => rm(path, { recursive: true }))
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => infer(request, response))
  })
  const path = join(folder, 'socket')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  stack.defer(() => void server.close())
  return stack.use(new OipClient(path, realClock))
}

const y = (size: number) =>
  JSON.stringify({
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2], parameters: { binary_data_size: size } }],
  })

test.each([
  [
    'run',
    'half of the bytes',
    (_: IncomingMessage, response: ServerResponse) => {
      const json = y(4)
      response.setHeader('Inference-Header-Content-Length', json.length)
      response.end(Buffer.concat([Buffer.from(json), Buffer.alloc(4)]))
    },
  ],
  [
    'engine-lost',
    'an answer that breaks off',
    (_: IncomingMessage, response: ServerResponse) => {
      const json = y(8)
      response.writeHead(200, {
        'Content-Length': json.length + 8,
        'Inference-Header-Content-Length': json.length,
      })
      response.write(Buffer.concat([Buffer.from(json), Buffer.alloc(4)]), () => response.destroy())
    },
  ],
  ['engine-lost', 'no answer', (request: IncomingMessage) => request.socket.destroy()],
  ['run', 'nonsense', (_: IncomingMessage, response: ServerResponse) => response.end('zeros')],
  [
    'run',
    'a status without a reason',
    (_: IncomingMessage, response: ServerResponse) => {
      response.statusCode = 500
      response.end('<html>')
    },
  ],
  [
    'overloaded',
    'too much',
    (_: IncomingMessage, response: ServerResponse) => {
      response.statusCode = 503
      response.end('{"error": "queue is full"}')
    },
  ],
])('[accelerators-3] %s, never zeros, when an adapter gives %s', async (code, _, infer) => {
  const client = await lyingServer(infer)
  await expect(client.infer('m', [f32('x', 1, 2)], 10_000, never)).rejects.toMatchObject({ code })
})

test('an idle connection that the adapter has closed is not the end of the next request', async () => {
  let asked = 0
  const client = await lyingServer((request, response) => {
    asked += 1
    const json = y(8)
    response.setHeader('Inference-Header-Content-Length', json.length)
    response.end(Buffer.concat([Buffer.from(json), Buffer.alloc(8)]), () => {
      if (asked === 1) request.socket.destroy()
    })
  })
  for (let round = 0; round < 3; round += 1)
    expect(await client.infer('m', [f32('x', 1, 2)], 10_000, never)).toHaveLength(1)
})

// The CPU behind an adapter

async function cpu(): Promise<CpuAccelerator> {
  const log = createLog({ level: 'error', json: false, write: () => {}, nowMs: () => 0 })
  const engine = await EngineSupervisor.open({ clock: realClock, log }, { models: [] }, never)
  return new CpuAccelerator(stack.use(engine))
}

test('[accelerators-5] work of an adapter that does not start runs on the CPU, and health() says so and why', async () => {
  const first = await adapter(shell('echo "no such chip" >&2; exit 3'))
  const both = new FallbackAccelerator(first, await cpu(), host.log)
  await loadAdd(both)
  expect(await sum(both)).toEqual(small.outputs)
  expect(await sum(both)).toEqual(small.outputs)
  expect((await both.health()).fallback).toEqual({
    to: 'cpu',
    reason: expect.stringContaining('adapter npu'),
    runs: 2,
  })
})

test('[accelerators-5] work comes back to an adapter that is well again, and the reason goes', async () => {
  const first = await adapter()
  const both = new FallbackAccelerator(first, await cpu(), host.log)
  await loadAdd(both)
  expect((await both.health()).fallback).toBeUndefined()
  process.kill(first.pid ?? 0, 'SIGKILL')
  await until('the CPU works', async () => {
    expect(await sum(both)).toEqual(small.outputs)
    return (await both.health()).fallback !== undefined
  })
  await until('the adapter works', async () => {
    expect(await sum(both)).toEqual(small.outputs)
    return (await both.health()).fallback === undefined
  })
})

/** An adapter of a chip that takes models in its own format only. */
const foreign = `
  const server = { name: 'chip', extensions: ['binary_tensor_data', 'model_repository'] }
  const parameters = { device: 'chip', formats: ['hef'], precisions: ['INT8'] }
  require('node:http')
    .createServer((_, response) => response.end(JSON.stringify({ ...server, parameters })))
    .listen(process.argv[1])
  process.stdin.on('end', () => process.exit()).resume()
`

test('[accelerators-5] a model that is not there in the adapter’s format runs on the CPU', async () => {
  const first = await adapter([process.execPath, '-e', foreign])
  const both = new FallbackAccelerator(first, await cpu(), host.log)
  expect(await both.capabilities(never)).toMatchObject({ device: 'chip', formats: ['hef'] })
  await loadAdd(both)
  expect(await sum(both)).toEqual(small.outputs)
  expect((await both.health()).fallback).toEqual({
    to: 'cpu',
    reason: 'model add is there as onnx; npu takes hef',
    runs: 1,
  })
})

test('[accelerators-5] what is wrong everywhere is an error, and a wrong input is tried nowhere else', async () => {
  const both = new FallbackAccelerator(await adapter(), await cpu(), host.log)
  const [file = ''] = Object.values(onnxFixtures.broken)
  await loadAdd(both)
  await expect(both.run('add', [f32('a', 1)], patient, never)).rejects.toMatchObject({ code: 'bad-input' })
  expect((await both.health()).fallback).toBeUndefined()
  await expect(both.load({ name: 'spoilt', files: { onnx: file } }, never)).rejects.toMatchObject({
    code: 'model-load',
  })
  await both.unload('add', never)
  await expect(sum(both)).rejects.toMatchObject({ code: 'model-unknown' })
})
