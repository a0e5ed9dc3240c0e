/** Labels across parts: how far a value travels from a device, whatever the parts after it would do. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { InferenceService } from '../../gateway/offload/service.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { offloadRoutes } from '../../runtime/inference/offload/offload-route.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { InferError, type Privacy } from '../../runtime/wire/infer.ts'
import { startAedes } from '../fixtures/broker.ts'
import { ScriptedBackend } from '../unit/gateway/offload/scripted-backend.ts'
import { all, anySignal, asked, failure, offered, openDevice, openWorker } from './offload-setup.ts'

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
