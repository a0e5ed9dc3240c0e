/** [api-2] Answers of devices that are too large for MQTT, over real HTTP: where they come from, and how many there may be. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { encodeCbor } from '../../runtime/wire/cbor.ts'
import { until } from './broker-raw.ts'
import { type Answer, type Call, openGateway, post, ScriptedDevice } from './gateway-device.ts'

let gateway: Gateway
let device: ScriptedDevice
const length = 50_000
const outputs = [{ name: 'y', datatype: 'FP32', shape: [length], data: new Float32Array(length).fill(0.5) }]
const answered: Answer = { result: { route: 'engine', privacy: 'device', ms: 1 } }
const infer = () => post(`${gateway.httpUrl}/api/infer`, { model: 'm', inputs: [], deadlineMs: 5_000 })
const upload = async ({ answerTicket }: Call, body: Uint8Array) => {
  const headers = { 'content-type': 'application/cbor' }
  const url = `${gateway.httpUrl}/api/tickets/${answerTicket}`
  return (await fetch(url, { method: 'PUT', headers, body: new Uint8Array(body) })).status
}

beforeEach(async () => {
  gateway = await openGateway()
  device = await ScriptedDevice.open(gateway.mqttUrl)
  await device.online()
  await until('seen', () => gateway.health().devices[0]?.availability === 'online')
})
afterEach(async () => {
  await device[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

test('an answer comes by the ticket of its call, once', async () => {
  const statuses: number[] = []
  device.answer = async (call) => {
    for (let n = 0; n < 2; n += 1) statuses.push(await upload(call, encodeCbor(outputs)))
    return answered
  }
  const { status, body } = await infer()
  expect([status, body.outputs[0].shape, body.outputs[0].data.at(-1)]).toEqual([200, [length], 0.5])
  expect(statuses).toEqual([202, 404])
})

test.each([
  ['nothing was uploaded', undefined],
  ['no outputs were uploaded', encodeCbor({ nothing: true })],
])('[api-4] where %s the call fails', async (_, body) => {
  device.answer = async (call) => {
    if (body) await upload(call, body)
    return answered
  }
  const answer = await infer()
  expect([answer.status, answer.body.error.code]).toEqual([502, 'device-failed'])
})

test('more than anybody is given is refused while it comes', async () => {
  let status = 0
  device.answer = async (call) => {
    status = await upload(call, new Uint8Array(9 * 1024 * 1024)).catch(() => 413)
    return { error: { code: 'unsupported', message: 'too large' } }
  }
  expect((await infer()).status).toBe(422)
  expect(status).toBe(413)
})

test('of many large answers at once some find no room, and room is there again afterwards', async () => {
  const gate = Promise.withResolvers<void>()
  const statuses: number[] = []
  device.answer = async (call) => {
    const status = await upload(call, encodeCbor(outputs))
    statuses.push(status)
    if (statuses.length === 10) gate.resolve()
    await gate.promise
    return status === 202 ? answered : { error: { code: 'unavailable', message: 'no room' } }
  }
  const all = await Promise.all(Array.from({ length: 10 }, infer))
  expect(statuses.toSorted()).toEqual([...Array(8).fill(202), 429, 429])
  expect(all.map(({ status }) => status).toSorted()).toEqual([...Array(8).fill(200), 503, 503])
  expect((await infer()).status).toBe(200)
})

test('the place of a call that ended takes nothing any more', async () => {
  let late: Call | undefined
  device.answer = (call) => {
    late = call
    return { error: { code: 'not-found', message: 'no model' } }
  }
  expect((await infer()).status).toBe(404)
  expect(await upload(late as Call, encodeCbor(outputs))).toBe(404)
})
