/** The engine without its process, on tiny graphs in the real ONNX Runtime: what its tests share. */
import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { Engine } from '../../../runtime/inference/engine/engine.ts'
import type { EngineModel, FromEngine } from '../../../runtime/wire/engine-protocol.ts'
import type { InferResponse, Tensor } from '../../../runtime/wire/infer.ts'
import {
  addModel,
  type ElementType,
  identityModel,
  moonshineShapedDecoder,
  moonshineShapedEncoder,
  sileroShapedModel,
} from '../../fixtures/onnx.ts'

const folder = mkdtempSync(join(tmpdir(), 'engine-'))
export const script = [9603, 373, 278, 8471, 5716, 28692, 2]

beforeAll(async () => {
  const types: ElementType[] = [
    'BOOL',
    'UINT8',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP32',
    'FP64',
    'BYTES',
    'FP16',
  ]
  await Promise.all([
    write('add', addModel()),
    write('silero', sileroShapedModel()),
    write('encoder', moonshineShapedEncoder()),
    write('decoder', moonshineShapedDecoder(script)),
    write('endless', moonshineShapedDecoder(Array(200).fill(373))),
    write(
      'corrupt',
      Uint8Array.from({ length: 500 }, (_, i) => i % 251),
    ),
    ...types.map((type) => write(`identity-${type}`, identityModel(type))),
  ])
})
afterAll(() => rm(folder, { recursive: true }))

export const write = (name: string, bytes: Uint8Array) => writeFile(path(name), bytes)
export const path = (name: string) => join(folder, `${name}.onnx`)
export const tensorModel = (name: string): EngineModel => ({
  name,
  pipeline: 'tensor',
  files: { model: path(name) },
})
export const moonshine = (name: string, decoder: string): EngineModel => ({
  name,
  pipeline: 'moonshine',
  files: { encoder: path('encoder'), decoder: path(decoder) },
})
export const f32 = (name: string, ...data: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [data.length],
  data: Float32Array.from(data),
})
export const sound = (seconds: number): Tensor => ({
  name: 'audio',
  datatype: 'FP32',
  shape: [1, seconds * 16_000],
  data: new Float32Array(seconds * 16_000),
})

/** An engine whose messages are collected; `when` waits for one. */
export class Bench {
  readonly clock = new VirtualClock()
  readonly messages: FromEngine[] = []
  readonly warnings: string[] = []
  stops = 0
  #check = () => {}
  onMessage: (message: FromEngine) => void = () => {}
  drained = Promise.resolve()
  /** What native code holds, as the engine sees it. */
  nativeMb = 0
  readonly engine = new Engine(
    {
      clock: this.clock,
      pid: 1,
      send: (message) => {
        this.messages.push(message)
        this.onMessage(message)
        this.#check()
      },
      drained: () => this.drained,
      rssBytes: () => 2 ** 20,
      nativeMb: () => this.nativeMb,
      onStop: () => {
        this.stops += 1
      },
      warn: (line) => this.warnings.push(line),
    },
    { queueMax: 4, intraOpThreads: 1 },
  )

  constructor(models: readonly EngineModel[]) {
    this.engine.handle({ t: 'models', models })
  }

  infer(id: string, model: string, inputs: readonly unknown[], more: object = {}): void {
    const request = {
      id,
      model,
      priority: 'interactive',
      deadlineMs: 1000,
      privacy: 'device',
      inputs,
      ...more,
    }
    this.engine.handle({ t: 'infer', request })
  }

  responses(id?: string): InferResponse[] {
    return this.messages
      .flatMap((message) => (message.t === 'response' ? [message.response as InferResponse] : []))
      .filter((response) => id === undefined || response.id === id)
  }

  /** The final response to `id`. */
  async final(id: string): Promise<InferResponse> {
    await this.until(() => this.responses(id).some((response) => response.final))
    return this.responses(id).at(-1) as InferResponse
  }

  /** Resolves when a message makes `condition` true; the test's own time limit is the deadline. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (condition()) resolve()
      }
      this.#check()
    })
  }

  async error(id: string): Promise<string> {
    const response = await this.final(id)
    return 'error' in response ? `${response.error.code}: ${response.error.message}` : 'no error'
  }

  /** Ids of the final responses, in order. */
  get order(): string[] {
    return this.responses().flatMap((response) => (response.final ? [response.id] : []))
  }
}

export function outputs(response: InferResponse): Record<string, unknown> {
  if ('error' in response) throw new Error(`${response.error.code}: ${response.error.message}`)
  return Object.fromEntries(response.outputs.map((output) => [output.name, output.data]))
}
