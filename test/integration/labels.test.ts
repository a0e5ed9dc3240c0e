/** Labels across parts: how far a value travels from a device, whatever the parts after it would do. */
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Broker } from '../../gateway/broker/broker.ts'
import { InferenceService } from '../../gateway/offload/service.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { offloadRoutes } from '../../runtime/inference/offload/offload-route.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { InferError, type Privacy } from '../../runtime/wire/infer.ts'
import { startAedes } from '../fixtures/broker.ts'
import { ScriptedBackend } from '../unit/gateway/offload/scripted-backend.ts'
import {
  all,
  anySignal,
  asked,
  eventually,
  failure,
  offered,
  openDevice,
  openWorker,
} from './offload-setup.ts'

let stack: AsyncDisposableStack
/** At home, and plugged out: what it had is served by the cloud, where a label lets it. */
let near: ScriptedBackend
let far: ScriptedBackend

beforeEach(() => {
  stack = new AsyncDisposableStack()
  const fails = () => [new InferError('unavailable', 'unplugged for the test', { retryable: true })]
  near = new ScriptedBackend('near', { script: fails })
  far = new ScriptedBackend('far', { reach: 'cloud' })
})
afterEach(() => stack.disposeAsync())

/** A device whose configuration lets values travel so far, beside a gateway with both backends. */
async function deviceThatAllows(allow: Privacy): Promise<Router> {
  const deps = { clock: realClock, log: silentLog }
  const broker = stack.use(await startAedes())
  const options = { queueMax: 10, bytesMax: 1_000_000 }
  const service = stack.use(new InferenceService({ ...deps, backends: [near, far] }, options))
  stack.use(await openWorker(broker.url, 'gateway', service))
  const device = stack.use(await openDevice(broker.url, 'd1', { allow }))
  await offered(device, 'm')
  const routes = offloadRoutes(device.client)
  return stack.use(
    new Router({ ...deps, routes: () => routes, redactor: () => new Redactor() }, { allow, probeShare: 0 }),
  )
}

test('[broker-8] where a broker has users, nobody reads another one’s answers and calls, whatever they subscribe to', async () => {
  const users = ['home', 'garden'].map((username) => ({ username, password: 'a-password' }))
  const options = { host: '127.0.0.1', port: 0, users, base: 'ganglion' }
  const broker = stack.use(await Broker.open({ clock: realClock, log: silentLog }, options, anySignal()))
  const as = (username: string) => broker.url.replace('mqtt://', `mqtt://${username}:a-password@`)
  const service = { ...broker.own, clientId: 'ganglion-gateway-w' }
  const backends = new InferenceService(
    { clock: realClock, log: silentLog, backends: [new ScriptedBackend('one')] },
    { queueMax: 10, bytesMax: 1_000_000 },
  )
  stack.use(backends)
  stack.use(await openWorker(broker.url, 'w', backends, service))
  const device = stack.use(await openDevice(as('home'), 'd1'))
  const curious = await connectAsync(as('garden'), { clientId: 'curious', reconnectPeriod: 0 })
  stack.defer(() => curious.endAsync(true).then(() => {}))
  const heard: string[] = []
  curious.on('message', (topic) => heard.push(topic))
  await curious.subscribeAsync(['#', 'ganglion/+/reply/#', 'ganglion/d1/rpc/+'], { qos: 1 })
  await offered(device, 'm')
  expect(await all(device.client.infer(request('site'), anySignal()))).toHaveLength(1)
  await device.link.publish('ganglion/d1/rpc/hear', Buffer.from('a ticket'))
  await device.link.publish('ganglion/d1/state/mark', Buffer.from('{}'))
  await eventually(() => expect(heard).toContain('ganglion/d1/state/mark'))
  expect(heard.filter((topic) => /\/(reply|rpc|infer)\b/.test(topic))).toEqual([])
})

const request = (privacy: Privacy) =>
  asked('m', [{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }], { privacy })

test('what a device lets travel no farther than its site goes to no cloud by way of a gateway, whatever its label', async () => {
  const router = await deviceThatAllows('site')
  const error = await failure(router.infer(request('cloud'), anySignal()))
  expect(error.code).toBe('unavailable')
  expect(near.requests.map(({ privacy }) => privacy)).toContain('site')
  expect(far.requests).toEqual([])
})

test('what it lets travel to a cloud is answered there, and only under that label', async () => {
  const router = await deviceThatAllows('cloud')
  expect((await all(router.infer(request('cloud'), anySignal()))).at(-1)).toMatchObject({
    final: true,
    privacy: 'cloud',
    route: 'gateway/far',
  })
  expect((await failure(router.infer(request('site'), anySignal()))).code).toBe('unavailable')
  expect(far.requests.map(({ privacy }) => privacy)).toEqual(['cloud'])
})
