/** Model files that are damaged or mean harm, in a real engine process: whatever they do to it, this process goes on. */
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { VirtualClock } from '../../runtime/base/clock.ts'
import type { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { fileOf, inputOf, type TinyNetwork, tinyNetworks } from '../bench/tiny-networks.ts'
import { floats, ints, node, onnxModel, value } from '../fixtures/onnx.ts'
import {
  add,
  answer,
  base,
  errorOf,
  f32,
  kill,
  openSupervisor,
  path,
  type Request,
  sum,
  tensorModel,
  value as valueIn,
} from './engine-setup.ts'

/** Weights, attributes, shapes: something of everything that a graph is made of. `y` = `x` FP32 [1,1,4,4], convolved. */
const whole = onnxModel({
  inputs: [value('x', 'FP32', [1, 1, 4, 4])],
  outputs: [value('y', 'FP32', [1, 4])],
  nodes: [
    node('Conv', ['x', 'kernel'], ['seen'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
    node('Relu', ['seen'], ['bright']),
    node('Reshape', ['bright', 'flat'], ['row']),
    node('MatMul', ['row', 'weights'], ['y']),
  ],
  constants: [
    floats('kernel', [1, 1, 3, 3], Array(9).fill(0.1)),
    ints('flat', [2], [1, 16]),
    floats('weights', [16, 4], Array(64).fill(0.1)),
  ],
})
const picture: Request = {
  ...base,
  deadlineMs: 3000,
  model: 'mutant',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1, 4, 4], data: new Float32Array(16) }],
}

type Mutate = (bytes: Uint8Array, below: (max: number) => number) => Uint8Array
const mutations: readonly Mutate[] = [
  (bytes, below) => bytes.slice(0, below(bytes.length)),
  (bytes, below) => changed(bytes, below, (byte) => byte ^ (1 << below(8))),
  (bytes, below) => changed(bytes, below, () => below(256)),
  (bytes, below) => changed(bytes, below, () => 0xff),
  (bytes, below) => without(bytes, below(bytes.length), 1 + below(8)),
  (bytes, below) => {
    const at = below(bytes.length)
    return Uint8Array.from([
      ...bytes.subarray(0, at),
      ...bytes.subarray(below(bytes.length)),
      ...bytes.subarray(at),
    ])
  },
  (bytes, below) => {
    const at = below(bytes.length)
    return Uint8Array.from([...bytes.subarray(0, at), ...Array(9).fill(0xff), 0x01, ...bytes.subarray(at)])
  },
]

function changed(
  bytes: Uint8Array,
  below: (max: number) => number,
  change: (byte: number) => number,
): Uint8Array {
  const copy = bytes.slice()
  for (let times = 1 + below(4); times > 0; times -= 1) {
    const at = below(copy.length)
    copy[at] = change(copy[at] ?? 0)
  }
  return copy
}

function without(bytes: Uint8Array, at: number, count: number): Uint8Array {
  return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + count)])
}

/** What came of a request: `answered`, or its code. */
async function outcome(supervisor: EngineSupervisor, request: Request): Promise<string> {
  try {
    await answer(supervisor, request)
    return 'answered'
  } catch (error) {
    return (await errorOf(Promise.reject(error))).code
  }
}

test('[engine-16] three hundred damaged models end in a code each, and the next good one is answered', {
  timeout: 120_000,
}, async () => {
  const random = new VirtualClock({ seed: 20_261 })
  const below = (max: number) => Math.floor(random.random() * max)
  const supervisor = await openSupervisor({ models: [add], start: 'eager', graceMs: 1000 })
  const outcomes = new Map<string, number>()
  for (let at = 0; at < 300; at += 1) {
    const mutate = mutations[at % mutations.length] as Mutate
    await writeFile(path('mutant'), mutate(whole, below))
    // Another entry, since the engine keeps what is the same.
    supervisor.setModels([add, { ...tensorModel('mutant'), options: { seed: at } }])
    const code = await outcome(supervisor, picture)
    outcomes.set(code, (outcomes.get(code) ?? 0) + 1)
    if (at % 50 === 0) expect(await valueIn(supervisor, sum(2, 3))).toBe(5)
  }
  expect(await valueIn(supervisor, sum(2, 3))).toBe(5)
  for (const code of outcomes.keys())
    expect(['answered', 'model-load', 'run', 'bad-input', 'engine-lost', 'deadline']).toContain(code)
  // Some of a damaged file is names and weights that still make a model; most is not.
  expect(outcomes.get('model-load')).toBeGreaterThan(100)
})

test('[engine-16] real models with flipped bits take nothing from whoever asks another model meanwhile', {
  timeout: 60_000,
}, async () => {
  const random = new VirtualClock({ seed: 7 })
  const below = (max: number) => Math.floor(random.random() * max)
  const supervisor = await openSupervisor({ models: [add], start: 'eager', graceMs: 1000 })
  const ends: string[] = []
  const attack = async () => {
    for (let at = 0; at < 40; at += 1) {
      const network = tinyNetworks[at % tinyNetworks.length] as TinyNetwork
      const bytes = await readFile(fileOf(network))
      for (let flips = [1, 4, 200][at % 3] ?? 1; flips > 0; flips -= 1) {
        // Structure stands at both ends, weights in between.
        const from = [0, bytes.length - 6000, 0][flips % 3] ?? 0
        const where = Math.max(0, from) + below(flips % 3 === 2 ? bytes.length : 6000)
        const place = Math.min(where, bytes.length - 1)
        bytes[place] = (bytes[place] ?? 0) ^ (1 << below(8))
      }
      await writeFile(path('mutant'), bytes)
      supervisor.setModels([add, { ...tensorModel('mutant'), options: { seed: at } }])
      ends.push(
        await outcome(supervisor, { ...base, deadlineMs: 5000, model: 'mutant', inputs: [inputOf(network)] }),
      )
    }
  }
  const attacked = attack()
  let asked = 0
  const others = async () => {
    for (; ends.length < 40; asked += 1) expect(await valueIn(supervisor, sum(asked, 1))).toBe(asked + 1)
  }
  await Promise.all([attacked, others()])
  expect(asked).toBeGreaterThan(40)
  expect(new Set(ends)).toContain('answered')
  expect(new Set(ends)).toContain('model-load')
})

test('[engine-16] an engine that is killed takes no request with it: the next one answers them', async () => {
  const supervisor = await openSupervisor({ start: 'eager' })
  const others = [1, 2, 3].map((n) => valueIn(supervisor, sum(n, n)))
  kill(supervisor)
  expect(await Promise.all(others)).toEqual([2, 4, 6])
})

test('[engine-16] an input of 1.2 MB of the wrong shape is refused in one line and does no harm', async () => {
  const supervisor = await openSupervisor({ models: [add] })
  const large = { ...f32('a', new Float32Array(300_000)), shape: [1, 300_000] }
  const error = await errorOf(
    answer(supervisor, { ...sum(1, 1), inputs: [large, f32('b', Float32Array.of(1))] }),
  )
  expect(error).toMatchObject({ code: 'bad-input', message: 'input a is FP32 [1,300000]; expected FP32 [n]' })
  expect(await valueIn(supervisor, sum(2, 3))).toBe(5)
})
