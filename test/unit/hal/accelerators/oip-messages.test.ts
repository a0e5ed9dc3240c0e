/** Bodies of the protocol: our client against our server's reading of the specification, and against answers that break it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  inferRequest,
  inferResponse,
  modelMetadata,
  serverCapabilities,
} from '../../../../hal/accelerators/oip-messages.ts'
import { checkInputs, checkOutputs } from '../../../../hal/accelerators/tensor-bytes.ts'
import type { AcceleratorTensor } from '../../../../hal/contract/accelerator.ts'
import type { Tensor } from '../../../../runtime/wire/infer.ts'
import { oipResponse, parseOipRequest } from '../../../../runtime/wire/oip.ts'

/** Tensors of every datatype that both sides carry, with any bits. */
const arrays = {
  UINT8: fc.uint8Array({ maxLength: 9 }),
  INT8: fc.int8Array({ maxLength: 9 }),
  INT16: fc.int16Array({ maxLength: 9 }),
  INT32: fc.int32Array({ maxLength: 9 }),
  INT64: fc.bigInt64Array({ maxLength: 9 }),
  FP32: fc.float32Array({ maxLength: 9 }),
  FP64: fc.float64Array({ maxLength: 9 }),
  BYTES: fc.array(fc.string({ unit: 'binary' }), { maxLength: 9 }),
}
const tensor = fc
  .constantFrom(...(Object.keys(arrays) as (keyof typeof arrays)[]))
  .chain((datatype) =>
    fc.record({
      datatype: fc.constant(datatype),
      data: arrays[datatype] as fc.Arbitrary<ArrayLike<unknown>>,
      tall: fc.boolean(),
    }),
  )
  .map(({ datatype, data, tall }) => ({ datatype, shape: tall ? [data.length, 1] : [data.length], data }))
const tensors = fc
  .array(tensor, { minLength: 1, maxLength: 5 })
  .map((list) => list.map((one, index) => ({ name: `t${index}`, ...one }) as unknown as Tensor))

function joined(parts: readonly Uint8Array[]): Buffer {
  // One byte in front: nothing may count on alignment.
  return Buffer.concat([Uint8Array.of(0), ...parts]).subarray(1)
}

test('[accelerators-3] what the client sends is what the server reads, bit for bit', () => {
  fc.assert(
    fc.property(tensors, (inputs) => {
      const { parts, jsonBytes, totalBytes } = inferRequest(inputs, 1500)
      const body = joined(parts)
      expect(body.byteLength).toBe(totalBytes)
      expect(parseOipRequest(body, jsonBytes)).toMatchObject({ inputs, deadlineMs: 1500, binary: true })
    }),
  )
})

const asBinary = { id: undefined, outputs: undefined, binary: true }

test('[accelerators-3] what the server answers is what the client reads, bit for bit', () => {
  fc.assert(
    fc.property(tensors, (outputs) => {
      const { parts } = oipResponse({ model: 'm', outputs }, asBinary)
      expect(inferResponse(joined(parts), parts[0]?.byteLength ?? 0)).toEqual(outputs)
    }),
  )
})

test('[accelerators-3] an answer with bytes missing or too many is an error, wherever it is cut', () => {
  const cut = fc.record({
    outputs: tensors,
    share: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })
  fc.assert(
    fc.property(cut, ({ outputs, share }) => {
      const { parts } = oipResponse({ model: 'm', outputs }, asBinary)
      const jsonBytes = parts[0]?.byteLength ?? 0
      const body = joined(parts)
      const failed = expect.objectContaining({ code: 'run' })
      expect(() => inferResponse(joined([body, Uint8Array.of(0)]), jsonBytes)).toThrow(failed)
      const end = Math.floor(share * body.byteLength)
      expect(() => inferResponse(body.subarray(0, end), jsonBytes)).toThrow(failed)
    }),
  )
})

test('a request with bytes missing or too many is refused as the caller’s mistake', () => {
  fc.assert(
    fc.property(tensors, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (inputs, share) => {
      const { parts, jsonBytes } = inferRequest(inputs, 1)
      const body = joined(parts)
      const failed = expect.objectContaining({ code: 'bad-input' })
      expect(() => parseOipRequest(joined([body, Uint8Array.of(0)]), jsonBytes)).toThrow(failed)
      expect(() => parseOipRequest(body.subarray(0, Math.floor(share * body.byteLength)), jsonBytes)).toThrow(
        failed,
      )
    }),
  )
})

const answer = (outputs: unknown, bytes = 0): [Buffer, number] => {
  const json = Buffer.from(JSON.stringify({ outputs }))
  return [Buffer.concat([json, Buffer.alloc(bytes)]), json.byteLength]
}
const output = { name: 'y', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }

test.each([
  ['no outputs', undefined, 0],
  ['an unknown datatype', [{ ...output, datatype: 'FP4' }], 8],
  ['a shape below nothing', [{ ...output, shape: [-2] }], 8],
  ['a shape beyond all memory', [{ ...output, shape: [2 ** 40, 2 ** 40] }], 8],
  ['fewer bytes than its shape', [{ ...output, parameters: { binary_data_size: 4 } }], 4],
  ['no binary tensor', [{ ...output, parameters: undefined, data: [0, 0] }], 0],
  ['a size below nothing', [{ ...output, parameters: { binary_data_size: -8 } }], 8],
])('[accelerators-3] an answer with %s is an error', (_, outputs, bytes) => {
  expect(() => inferResponse(...answer(outputs, bytes))).toThrow(expect.objectContaining({ code: 'run' }))
})

test('an answer that is no JSON, and a header beyond the body, are errors', () => {
  for (const [body, jsonBytes] of [
    [Buffer.from('oops'), 4],
    [Buffer.from('{}'), 3],
    [Buffer.from('{}'), Number.NaN],
  ] as const)
    expect(() => inferResponse(body, jsonBytes)).toThrow(expect.objectContaining({ code: 'run' }))
})

const y: AcceleratorTensor = { name: 'y', datatype: 'FP32', shape: [2], data: new Float32Array(2) }

test('[accelerators-3] outputs that are missing or not as the model declared them are errors', () => {
  checkOutputs([y], [{ name: 'y', datatype: 'FP32', shape: [-1] }])
  for (const place of [
    { name: 'z', datatype: 'FP32', shape: [2] },
    { name: 'y', datatype: 'INT32', shape: [2] },
    { name: 'y', datatype: 'FP32', shape: [3] },
    { name: 'y', datatype: 'FP32', shape: [-1, -1] },
  ] as const)
    expect(() => checkOutputs([y], [place])).toThrow(expect.objectContaining({ code: 'run' }))
})

test('an input that does not fit is named with what it is and what was expected', () => {
  const place = { name: 'y', datatype: 'INT64', shape: ['n', 4] } as const
  expect(() => checkInputs([y], [place])).toThrow('input y is FP32 [2]; expected INT64 [n,4]')
  expect(() => checkInputs([], [place])).toThrow('input y is missing; expected INT64 [n,4]')
})

test('metadata is taken as it is, or refused where it is not what the protocol says', () => {
  const server = {
    name: 'x',
    extensions: ['binary_tensor_data', 'model_repository'],
    parameters: { device: 'npu', formats: ['hef'], precisions: ['INT8'], memory_mb: 4096 },
  }
  expect(serverCapabilities(server)).toEqual({
    device: 'npu',
    formats: ['hef'],
    precisions: ['INT8'],
    memoryMb: 4096,
  })
  for (const wrong of [
    {},
    null,
    { ...server, extensions: ['binary_tensor_data'] },
    { ...server, parameters: { formats: [] } },
  ])
    expect(() => serverCapabilities(wrong)).toThrow(expect.objectContaining({ code: 'run' }))
  const place = { name: 'x', datatype: 'FP16', shape: [-1, 3] }
  expect(modelMetadata('m', { inputs: [place], outputs: [place] })).toEqual({
    name: 'm',
    inputs: [place],
    outputs: [place],
  })
  for (const wrong of [{ inputs: [] }, { inputs: [{ name: 'x', datatype: 'FP16', shape: ['n'] }] }, 7])
    expect(() => modelMetadata('m', wrong)).toThrow(expect.objectContaining({ code: 'run' }))
})
