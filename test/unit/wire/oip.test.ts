/**
 * The codec of the Open Inference Protocol v2, server's and client's side. Clauses cited: inference_rest.md of
 * kserve/open-inference-protocol (REST), extension_binary_data.md (BIN) and extension_schedule_policy.md (SCHED) of Triton.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Tensor } from '../../../runtime/wire/infer.ts'
import { oipResponse, parseOipRequest } from '../../../runtime/wire/oip.ts'
import {
  checkOutputs,
  oipRequest,
  parseModelMetadata,
  parseOipAnswer,
  parseRepositoryIndex,
  parseServerMetadata,
} from '../../../runtime/wire/oip-client.ts'

const joined = (parts: readonly Uint8Array[]) => Buffer.concat(parts)
const parse = (value: unknown, binary: Uint8Array = Buffer.alloc(0)) => {
  const json = Buffer.from(JSON.stringify(value))
  return parseOipRequest(Buffer.concat([json, binary]), json.byteLength)
}
const x = { name: 'x', shape: [2, 2], datatype: 'FP32', data: [1, 2.5, -3, 4] }
const plain = { id: undefined, outputs: undefined, binary: false }
const jsonOf = (parts: readonly Uint8Array[]) => JSON.parse(joined(parts).toString('utf8'))

const numbers = {
  UINT8: fc.uint8Array({ maxLength: 9 }),
  INT8: fc.int8Array({ maxLength: 9 }),
  INT16: fc.int16Array({ maxLength: 9 }),
  INT32: fc.int32Array({ maxLength: 9 }),
  FP32: fc.float32Array({ maxLength: 9, noNaN: true, noDefaultInfinity: true }),
  FP64: fc.float64Array({ maxLength: 9, noNaN: true, noDefaultInfinity: true }),
  BOOL: fc.uint8Array({ maxLength: 9, max: 1 }),
  INT64: fc.array(fc.maxSafeInteger(), { maxLength: 9 }).map((list) => BigInt64Array.from(list, BigInt)),
  BYTES: fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 9 }),
}
const tensor: fc.Arbitrary<Tensor> = fc.oneof(
  ...Object.entries(numbers).map(([datatype, data]) =>
    (data as fc.Arbitrary<{ length: number }>).map(
      (one) => ({ name: 't', datatype, shape: [one.length], data: one }) as unknown as Tensor,
    ),
  ),
)
const tensors = fc
  .array(tensor, { maxLength: 4 })
  .map((list) => list.map((one, index) => ({ ...one, name: `t${index}` }) as Tensor))
/** JSON has no minus zero: it reads as zero. */
const withoutMinusZero = (list: readonly Tensor[]) =>
  list.every(({ data }) => ![...(data as Iterable<unknown>)].some((one) => Object.is(one, -0)))

describe('requests', () => {
  test('REST "Inference Request": tensors flat or nested in row-major order, as JSON', () => {
    const flat = parse({ inputs: [x] }).inputs
    expect(flat).toEqual([
      { name: 'x', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 2.5, -3, 4) },
    ])
    const nested = {
      ...x,
      data: [
        [1, 2.5],
        [-3, 4],
      ],
    }
    expect(parse({ inputs: [nested] }).inputs).toEqual(flat)
  })

  test('BIN: binary inputs follow the JSON in its order, and may stand beside inputs in JSON', () => {
    const request = {
      inputs: [
        { name: 'b', shape: [2], datatype: 'INT16', parameters: { binary_data_size: 4 } },
        x,
        { name: 's', shape: [1], datatype: 'BYTES', parameters: { binary_data_size: 6 } },
      ],
    }
    const binary = Uint8Array.of(1, 0, 255, 255, 2, 0, 0, 0, 104, 105)
    expect(parse(request, binary).inputs.map(({ data }) => data)).toEqual([
      Int16Array.of(1, -1),
      Float32Array.of(1, 2.5, -3, 4),
      ['hi'],
    ])
  })

  test('BIN: binary_data of an output wins over binary_data_output', () => {
    const { outputs, binary } = parse({
      inputs: [x],
      parameters: { binary_data_output: true },
      outputs: [{ name: 'a' }, { name: 'b', parameters: { binary_data: false } }],
    })
    expect(binary).toBe(true)
    expect(outputs).toEqual([
      { name: 'a', binary: true },
      { name: 'b', binary: false },
    ])
  })

  test('SCHED: priority 1 is the most urgent, 0 the default; timeout is in microseconds', () => {
    const of = (parameters: object) => parse({ inputs: [x], parameters })
    expect(of({ priority: 1, timeout: 1500 })).toMatchObject({ priority: 'control', deadlineMs: 1.5 })
    expect(of({ priority: 2 }).priority).toBe('interactive')
    expect(of({ priority: 77 }).priority).toBe('background')
    expect(of({ priority: 0, timeout: 0 })).toMatchObject({ priority: undefined, deadlineMs: undefined })
    expect(of({ privacy: 'cloud', top: 3 })).toMatchObject({ privacy: 'cloud', parameters: { top: 3 } })
  })

  test.each([
    ['no list of inputs', {}, /inputs/],
    ['another datatype', { inputs: [{ ...x, datatype: 'FP16' }] }, /input x: datatype FP16/],
    ['too few elements', { inputs: [{ ...x, data: [1] }] }, /input x: 1 elements, but its shape \[2,2\]/],
    ['too many elements', { inputs: [{ ...x, data: [1, 2, 3, 4, 5, 6] }] }, /input x: more than 4/],
    ['text for a number', { inputs: [{ ...x, data: [1, 2, 3, '4'] }] }, /input x: "4" is not FP32/],
    ['null for a number', { inputs: [{ ...x, data: [1, 2, 3, null] }] }, /input x: null is not FP32/],
    ['no data at all', { inputs: [{ ...x, data: undefined }] }, /input x: its data is no array/],
    ['a fraction for an integer', { inputs: [{ ...x, datatype: 'INT32' }] }, /input x: 2.5 is not INT32/],
    [
      'an integer that lost digits',
      { inputs: [{ name: 'x', shape: [1], datatype: 'INT64', data: [2 ** 60] }] },
      /beyond 2\^53 send binary/,
    ],
    [
      'numbers for BOOL',
      { inputs: [{ name: 'x', shape: [1], datatype: 'BOOL', data: [1] }] },
      /1 is not BOOL/,
    ],
    ['a negative length', { inputs: [{ ...x, shape: [-1, 4] }] }, /shape/],
    ['a shape beyond any memory', { inputs: [{ ...x, shape: [2 ** 40, 2 ** 40] }] }, /too large/],
    ['data twice', { inputs: [{ ...x, parameters: { binary_data_size: 4 } }] }, /data and binary_data_size/],
    [
      'bytes that are not there',
      { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', parameters: { binary_data_size: 4 } }] },
      /4 bytes are not in the body/,
    ],
    ['a label that is none', { inputs: [x], parameters: { privacy: 'moon' } }, /privacy/],
  ])('a request with %s is bad input, in one line', (_what, request, line) => {
    expect(() => parse(request)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(line) }),
    )
  })

  test('a body that is no JSON, or shorter than its header says, is bad input', () => {
    const bad = expect.objectContaining({ code: 'bad-input' })
    expect(() => parseOipRequest(Buffer.from('<html>'), 6)).toThrow(bad)
    for (const body of ['', '{'])
      expect(() => parseOipRequest(Buffer.from(body), body.length)).toThrow('no JSON')
    expect(() => parseOipRequest(Buffer.from('{}'), 3)).toThrow(bad)
    expect(() => parseOipRequest(Buffer.from('{}'), Number.NaN)).toThrow(bad)
    expect(() => parseOipRequest(Buffer.from('{}'), -1)).toThrow(bad)
  })
})

describe('answers', () => {
  const outputs: Tensor[] = [
    { name: 'y', datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) },
    { name: 'big', datatype: 'INT64', shape: [1], data: BigInt64Array.of(9007199254740993n) },
  ]

  test('REST "Inference Response": model, version, the id of the request, and every output', () => {
    const { parts, jsonBytes, contentType } = oipResponse(
      { model: 'm', version: '3', outputs },
      { ...plain, id: '42' },
    )
    expect([jsonBytes, contentType]).toEqual([undefined, 'application/json'])
    expect(joined(parts).toString()).toBe(
      '{"model_name":"m","model_version":"3","id":"42","outputs":[' +
        '{"name":"y","datatype":"FP32","shape":[2],"data":[1,2]},' +
        '{"name":"big","datatype":"INT64","shape":[1],"data":[9007199254740993]}]}',
    )
  })

  test('REST "Request Output": only the outputs that were asked for, and an unknown one is named', () => {
    const want = { ...plain, outputs: [{ name: 'big', binary: true }] }
    const { parts, jsonBytes } = oipResponse({ model: 'm', outputs }, want)
    expect(jsonOf(parts.slice(0, 1)).outputs).toEqual([
      { name: 'big', datatype: 'INT64', shape: [1], parameters: { binary_data_size: 8 } },
    ])
    expect(jsonBytes).toBe(parts[0]?.byteLength)
    expect(() =>
      oipResponse({ model: 'm', outputs }, { ...plain, outputs: [{ name: 'z', binary: false }] }),
    ).toThrow(/output z is not known; there are: y, big/)
  })

  test('NaN is never written as null: JSON refuses it by name, binary carries it', () => {
    const nan: Tensor[] = [{ name: 'y', datatype: 'FP32', shape: [1], data: Float32Array.of(Number.NaN) }]
    expect(() => oipResponse({ model: 'm', outputs: nan }, plain)).toThrow(/output y holds NaN.*binary/)
    const { parts } = oipResponse({ model: 'm', outputs: nan }, { ...plain, binary: true })
    expect(parseOipAnswer(joined(parts), parts[0]?.byteLength ?? 0, 'any')).toEqual(nan)
  })

  test('what our server writes our client reads, in JSON and in binary', () => {
    fc.assert(
      fc.property(tensors, fc.boolean(), (list, binary) => {
        fc.pre(binary || withoutMinusZero(list))
        const { parts, jsonBytes } = oipResponse({ model: 'm', outputs: list }, { ...plain, id: 'i', binary })
        const body = joined(parts)
        expect(parseOipAnswer(body, jsonBytes ?? body.byteLength, 'i')).toEqual(list)
      }),
    )
  })

  test('what our client writes our server reads, in JSON and in binary', () => {
    fc.assert(
      fc.property(tensors, fc.boolean(), (inputs, binary) => {
        fc.pre(binary || withoutMinusZero(inputs))
        const { parts, jsonBytes } = oipRequest({ id: 'i', inputs, parameters: { priority: 2 }, binary })
        const body = joined(parts)
        const read = parseOipRequest(body, jsonBytes ?? body.byteLength)
        expect(read).toMatchObject({ id: 'i', priority: 'interactive', binary })
        expect(read.inputs).toEqual(inputs)
      }),
    )
  })
})

describe('a server elsewhere', () => {
  const broken = (line: RegExp) =>
    expect.objectContaining({ code: 'run', message: expect.stringMatching(line) })
  const answer =
    (value: unknown, extra: Uint8Array = Buffer.alloc(0)) =>
    () => {
      const json = Buffer.from(JSON.stringify(value))
      return parseOipAnswer(Buffer.concat([json, extra]), json.byteLength, 'mine')
    }
  const y = { name: 'y', datatype: 'FP32', shape: [2], data: [1, 2] }

  test.each([
    ['another request', { id: 'other', outputs: [y] }, /another request/],
    ['no outputs', { id: 'mine' }, /outputs/],
    ['fewer elements than its shape', { outputs: [{ ...y, data: [1] }] }, /output y: 1 elements/],
    ['a datatype that there is not', { outputs: [{ ...y, datatype: 'FP8' }] }, /output y: datatype FP8/],
    ['a shape of any size', { outputs: [{ ...y, shape: [1e15, 1e15] }] }, /output y/],
    ['text for numbers', { outputs: [{ ...y, data: ['1', '2'] }] }, /output y/],
    [
      'bytes that are not there',
      { outputs: [{ ...y, data: undefined, parameters: { binary_data_size: 8 } }] },
      /not in the body/,
    ],
  ])('an answer with %s is refused and says so', (_what, value, line) => {
    expect(answer(value)).toThrow(broken(line))
  })

  test('bytes that belong to no output are refused, and so is what is no JSON', () => {
    expect(answer({ outputs: [y] }, Uint8Array.of(1))).toThrow(broken(/belong to no output/))
    expect(() => parseOipAnswer(Buffer.from('<html>'), 6, 'mine')).toThrow(broken(/no JSON/))
    expect(() =>
      parseOipAnswer(
        Buffer.from('{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[NaN]}]}'),
        68,
        'mine',
      ),
    ).toThrow(broken(/JSON/))
  })

  test('outputs must be what the metadata promised', () => {
    const specs = [{ name: 'y', datatype: 'FP32', shape: ['d0', 2] }] as const
    const of = (shape: readonly number[], name = 'y') =>
      [
        { name, datatype: 'FP32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
      ] as Tensor[]
    expect(() =>
      checkOutputs(
        of([5, 2]),
        specs.map((one) => ({ ...one, shape: [...one.shape] })),
      ),
    ).not.toThrow()
    for (const wrong of [of([5, 3]), of([2]), of([5, 2], 'z')])
      expect(() =>
        checkOutputs(
          wrong,
          specs.map((one) => ({ ...one, shape: [...one.shape] })),
        ),
      ).toThrow(broken(/output y/))
  })

  test('metadata of server, model and repository are read; datatypes without a place here are named', () => {
    const body = (value: unknown) => Buffer.from(JSON.stringify(value))
    expect(
      parseServerMetadata(body({ name: 'triton', version: '2.60', extensions: ['binary_tensor_data'] })),
    ).toEqual({
      name: 'triton',
      version: '2.60',
      extensions: ['binary_tensor_data'],
    })
    expect(parseServerMetadata(body({ name: 'OpenVINO Model Server' })).extensions).toEqual([])
    const model = {
      name: 'm',
      versions: ['1', '2'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
      outputs: [{ name: 'y', datatype: 'INT64', shape: ['-1', '1'] }],
    }
    expect(parseModelMetadata(body(model))).toEqual({
      version: '2',
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['d0', 3] }],
      outputs: [{ name: 'y', datatype: 'INT64', shape: ['d0', 1] }],
    })
    const half = { ...model, inputs: [{ name: 'x', datatype: 'FP16', shape: [1] }] }
    expect(() => parseModelMetadata(body(half))).toThrow(/x is FP16/)
    const index = [
      { name: 'a', state: 'READY' },
      { name: 'a', version: '2', state: 'READY' },
      { name: 'b', state: 'UNAVAILABLE' },
      { name: 'c' },
    ]
    expect(parseRepositoryIndex(body(index))).toEqual(['a', 'c'])
  })
})
