/**
 * The Open Inference Protocol at a real gateway with a real engine: requests and answers against the published specification.
 * REST: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md; BIN: Triton's
 * extension_binary_data.md; SCHED: its extension_schedule_policy.md. Clauses are quoted where a rule comes from one.
 */
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { until } from './broker-raw.ts'
import { ask, openGateway, post } from './gateway-device.ts'
import { modelsFolder } from './served-models.ts'

let gateway: Gateway
const url = (path: string) => `${gateway.httpUrl}/v2${path}`
beforeAll(async () => {
  const section = { inference: { folders: [modelsFolder()], workers: 1, inputsMb: 1 } }
  gateway = await openGateway({ section })
  await until('the models are there', async () => (await ask(url('/models/slow'))).status === 200)
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** REST "Tensor Data Types". */
const datatypes = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
]
const shape = (least: number) => v.array(v.pipe(v.number(), v.integer(), v.minValue(least)))
/** REST "$metadata_tensor": "Variable-size dimensions are specified as -1." */
const metadataTensor = v.strictObject({ name: v.string(), datatype: v.picklist(datatypes), shape: shape(-1) })
/** REST "$metadata_model_response". */
const metadataModel = v.strictObject({
  name: v.string(),
  versions: v.optional(v.array(v.string())),
  platform: v.string(),
  inputs: v.array(metadataTensor),
  outputs: v.array(metadataTensor),
})
/** REST "$metadata_server_response". */
const metadataServer = v.strictObject({
  name: v.string(),
  version: v.string(),
  extensions: v.array(v.string()),
})
const parameters = v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))
/** REST "$inference_response"; `id` "if any", so optional. BIN: `binary_data_size` instead of `data`. */
const responseOutput = v.strictObject({
  name: v.string(),
  shape: shape(0),
  datatype: v.picklist(datatypes),
  parameters: v.optional(parameters),
  data: v.optional(v.array(v.union([v.number(), v.string(), v.boolean()]))),
})
const inferenceResponse = v.strictObject({
  model_name: v.string(),
  model_version: v.optional(v.string()),
  id: v.optional(v.string()),
  parameters: v.optional(parameters),
  outputs: v.array(responseOutput),
})
/** REST "…Error Object": `error` and nothing else; "must be indicated by an HTTP error status". */
const errorObject = v.strictObject({ error: v.pipe(v.string(), v.minLength(1)) })

const addInputs = [
  { name: 'a', shape: [2], datatype: 'FP32', data: [1, 2] },
  { name: 'b', shape: [2], datatype: 'FP32', data: [10, 20] },
]
const infer = (body: unknown, model = 'add', headers = {}) =>
  post(url(`/models/${model}/infer`), body, headers)
const sum = { name: 'sum', datatype: 'FP32', shape: [2], data: [11, 22] }

describe('[oip-1] metadata and health', () => {
  test('REST "Server Metadata": name, version and the extensions that it has', async () => {
    const { status, body } = await ask(url(''))
    expect(status).toBe(200)
    expect(v.parse(metadataServer, body).extensions).toEqual(['binary_tensor_data', 'schedule_policy'])
    expect((await ask(url('/'))).status).toBe(200)
  })

  test('REST "Server Live", "Server Ready", "Model Ready"', async () => {
    expect(await ask(url('/health/live'))).toMatchObject({ status: 200, body: { live: true } })
    expect(await ask(url('/health/ready'))).toMatchObject({ status: 200, body: { live: true, ready: true } })
    for (const path of ['/models/add/ready', '/models/add/versions/3/ready'])
      expect(await ask(url(path))).toMatchObject({ status: 200, body: { name: 'add', ready: true } })
    expect((await ask(url('/models/none/ready'))).status).toBe(404)
  })

  test('REST "Model Metadata": tensors with -1 for any length, and the versions that may be asked for', async () => {
    for (const path of ['/models/add', '/models/add/versions/3']) {
      const { status, body } = await ask(url(path))
      expect([status, v.parse(metadataModel, body)]).toEqual([
        200,
        {
          name: 'add',
          versions: ['3'],
          platform: 'onnxruntime_onnx',
          inputs: [
            { name: 'a', datatype: 'FP32', shape: [-1] },
            { name: 'b', datatype: 'FP32', shape: [-1] },
          ],
          outputs: [{ name: 'sum', datatype: 'FP32', shape: [-1] }],
        },
      ])
    }
  })

  test('the index of the model repository lists what is ready', async () => {
    const { body } = await post(url('/repository/index'), { ready: true })
    expect(body).toEqual([
      { name: 'add', version: '3', state: 'READY', reason: '' },
      { name: 'slow', version: '1', state: 'READY', reason: '' },
    ])
  })
})

describe('[oip-2] inference', () => {
  test('REST "Inference": the id of the request, model and version, every output', async () => {
    const { status, body, headers } = await infer({ id: '42', inputs: addInputs })
    expect([status, headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(v.parse(inferenceResponse, body)).toEqual({
      model_name: 'add',
      model_version: '3',
      id: '42',
      parameters: { route: 'pool' },
      outputs: [sum],
    })
    // "Optional, but if specified this identifier must be returned": not specified, not there.
    expect((await infer({ inputs: addInputs })).body).not.toHaveProperty('id')
  })

  test('REST "Request Output": "if not specified all outputs"; else the ones that are named', async () => {
    const named = await infer({ inputs: addInputs, outputs: [{ name: 'sum' }] })
    expect(v.parse(inferenceResponse, named.body).outputs).toEqual([sum])
    const unknown = await infer({ inputs: addInputs, outputs: [{ name: 'difference' }] })
    expect([unknown.status, v.parse(errorObject, unknown.body).error]).toEqual([
      400,
      expect.stringMatching(/difference.*sum/),
    ])
  })

  test('a version in the path is served where it is the one that there is', async () => {
    const { body } = await infer({ inputs: addInputs }, 'add/versions/3')
    expect(v.parse(inferenceResponse, body).model_version).toBe('3')
    const other = await infer({ inputs: addInputs }, 'add/versions/4')
    expect([other.status, v.parse(errorObject, other.body).error]).toEqual([
      404,
      'model add has version 3 only, not 4',
    ])
  })

  test('BIN: tensors as binary data, both ways, with their lengths in headers', async () => {
    const json = Buffer.from(
      JSON.stringify({
        id: 'b',
        inputs: addInputs.map(({ data: _, ...place }) => ({ ...place, parameters: { binary_data_size: 8 } })),
        parameters: { binary_data_output: true },
      }),
    )
    const tensors = new Uint8Array(Float32Array.of(1, 2, 10, 20).buffer)
    const response = await fetch(url('/models/add/infer'), {
      method: 'POST',
      headers: {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': String(json.byteLength),
      },
      body: Buffer.concat([json, tensors]),
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/octet-stream'])
    const body = Buffer.from(await response.arrayBuffer())
    const jsonBytes = Number(response.headers.get('inference-header-content-length'))
    expect(Number(response.headers.get('content-length'))).toBe(body.byteLength)
    const answer = v.parse(inferenceResponse, JSON.parse(body.subarray(0, jsonBytes).toString()))
    expect([answer.id, answer.outputs]).toEqual([
      'b',
      [{ name: 'sum', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } }],
    ])
    expect([...new Float32Array(new Uint8Array(body.subarray(jsonBytes)).buffer)]).toEqual([11, 22])
  })

  test('SCHED "timeout", in microseconds: who is late hears so', async () => {
    const inputs = [
      { name: 'rounds', shape: [], datatype: 'INT64', data: [60_000] },
      { name: 'x', shape: [1], datatype: 'FP32', data: [7] },
    ]
    const late = await infer({ inputs, parameters: { timeout: 1000, priority: 1 } }, 'slow')
    expect([late.status, v.parse(errorObject, late.body).error]).toEqual([
      504,
      expect.stringMatching(/within 1 ms/),
    ])
  })
})

describe('[oip-3] mistakes', () => {
  const bad = async (body: unknown, path = 'add') => {
    const { status, body: answer } = await infer(body, path)
    return [status, v.parse(errorObject, answer).error] as const
  }

  test.each<[string, unknown, RegExp]>([
    ['no object', 'hello', /not understood/],
    ['no inputs', {}, /inputs/],
    ['an input is missing', { inputs: [addInputs[0]] }, /\bb\b/],
    ['an input too many', { inputs: [...addInputs, { ...addInputs[0], name: 'c' }] }, /\bc\b/],
    ['another type', { inputs: [{ ...addInputs[0], datatype: 'INT32' }, addInputs[1]] }, /\ba\b.*INT32/],
    ['another rank', { inputs: [{ ...addInputs[0], shape: [1, 2] }, addInputs[1]] }, /\ba\b/],
    [
      'lengths that do not fit the data',
      { inputs: [{ ...addInputs[0], shape: [3] }, addInputs[1]] },
      /input a: 2 elements/,
    ],
    [
      'lengths that do not fit the model',
      { inputs: [{ ...addInputs[0], shape: [3], data: [1, 2, 3] }, addInputs[1]] },
      /./,
    ],
    ['a label that is none', { inputs: addInputs, parameters: { privacy: 'moon' } }, /privacy/],
  ])('%s: an error that names it', async (_what, body, line) => {
    expect(await bad(body)).toEqual([
      expect.toSatisfy((status: number) => status >= 400 && status < 600),
      expect.stringMatching(line),
    ])
  })

  test('an unknown model is 404 with the error object, and so is an unknown path', async () => {
    expect(await bad({ inputs: addInputs }, 'none')).toEqual([404, 'no model is named none'])
    const { status, body } = await ask(url('/nothing/here'))
    expect([status, v.parse(errorObject, body)]).toEqual([404, { error: 'no GET /v2/nothing/here' }])
  })

  test('inputs labelled device are refused', async () => {
    expect(await bad({ inputs: addInputs, parameters: { privacy: 'device' } })).toEqual([
      403,
      expect.stringMatching(/never leave the device/),
    ])
  })

  test('more inputs than the gateway holds, and a body of a gigabyte, are refused before they are read', async () => {
    const big = { name: 'a', shape: [300_000], datatype: 'FP32', data: Array(300_000).fill(0) }
    expect(await bad({ inputs: [big, { ...big, name: 'b' }] })).toEqual([
      400,
      expect.stringMatching(/more than 1048576 bytes/),
    ])
    const { request } = await import('node:http')
    const status = await new Promise((resolve) => {
      const sent = request(
        url('/models/add/infer'),
        { method: 'POST', headers: { 'content-length': 2 ** 30 } },
        (response) => {
          resolve(response.statusCode)
          sent.destroy()
        },
      )
      sent.on('error', () => {})
      sent.flushHeaders()
    })
    expect(status).toBe(413)
  })

  test('[api-5] a page of another site may ask for nothing', async () => {
    const { status } = await infer({ inputs: addInputs }, 'add', { origin: 'http://evil.example' })
    expect(status).toBe(403)
  })
})

test('[api-6] with a token, /v1 and /v2 need it as /api does, however the path is written', async () => {
  await using closed = await openGateway({ env: { GANGLION_GATEWAY_TOKEN: 'a-token-of-sixteen-characters' } })
  const { request } = await import('node:http')
  const status = (path: string, authorization?: string) =>
    new Promise((resolve) => {
      const headers = authorization === undefined ? {} : { authorization }
      request(closed.httpUrl, { path, headers }, (response) => resolve(response.resume().statusCode)).end()
    })
  for (const path of [
    '/v2',
    '/v2/',
    '/v2/health/live',
    '/v1/models',
    '/%761/models',
    '/v%32/health/live',
    '/%61pi/health',
    '/api/health',
  ])
    expect([path, await status(path)]).toEqual([path, 401])
  for (const path of ['/v2', '/v1/models', '/api/health', '/%61pi/health'])
    expect([path, await status(path, 'Bearer a-token-of-sixteen-characters')]).toEqual([path, 200])
  const { body } = await ask(`${closed.httpUrl}/v1/models`)
  expect(body.error).toMatchObject({ type: 'authentication_error', code: 'invalid_api_key' })
})
