/**
 * The router on real sockets: a device's engine and its link on one side, a whole gateway with broker, HTTP and an engine of its
 * own on the other, and between them a proxy in user space with delay, loss, a rate and outages. Against always here, always
 * there, and the better of the two with hindsight: no oracle can be asked in real time, so the runs of the two are one.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../gateway/config.ts'
import { Gateway } from '../../gateway/gateway.ts'
import { realClock, VirtualClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { OffloadClient } from '../../runtime/inference/offload/offload-client.ts'
import { offloadRoutes } from '../../runtime/inference/offload/offload-route.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import type { Route } from '../../runtime/inference/router/route.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { Link } from '../../runtime/link/session.ts'
import type { InferRequest } from '../../runtime/wire/infer.ts'
import { slowModel } from '../fixtures/onnx.ts'
import { startProxy, type Weather } from '../fixtures/proxy.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { quantile } from './quantiles.ts'

const phases: readonly (Weather & { readonly name: string })[] = [
  { name: 'wifi-good', delayMs: 1, bytesPerS: 8e6, loss: 0, down: false },
  { name: '4g', delayMs: 25, bytesPerS: 1e6, loss: 0.0005, down: false },
  { name: 'wifi-lossy', delayMs: 3, bytesPerS: 2e6, loss: 0.003, down: false },
  { name: 'outage', delayMs: 1, bytesPerS: 8e6, loss: 0, down: true },
  { name: 'wifi-good', delayMs: 1, bytesPerS: 8e6, loss: 0, down: false },
]
/** The gateway is so many times as fast. */
const timesFaster = 8
const deadlineMs = 2_000
const everyMs = 200
/** A small model with a small input, a large one with an input that goes by ticket. Rounds take some 20 to 50 µs. */
const kinds = [
  { share: 0.6, rounds: 40, floats: 200 },
  { share: 0.4, rounds: 3_000, floats: 40_000 },
] as const

const ways = ['device', 'gateway', 'router'] as const
type Way = (typeof ways)[number]
type Request = Omit<InferRequest, 'id'>

export const routerSocket: Benchmark = {
  name: 'router.socket',
  async run({ quick, signal, progress }) {
    await using stack = new AsyncDisposableStack()
    const weather = { now: phases[0] as Weather }
    const site = await openSite(stack, () => weather.now, signal)
    const phaseMs = quick ? 600 : 4_000
    const latencies: Record<Way, number[]> = { device: [], gateway: [], router: [] }
    for (const way of ways) {
      progress(way)
      await using router = new Router({
        clock: realClock,
        log: silentLog,
        routes: () => [site.device, site.gateway],
        redactor: () => new Redactor(),
      })
      const place = way === 'router' ? router : site[way]
      latencies[way] = await live(place, weather, phaseMs, signal)
    }
    return measurements(latencies, phaseMs, quick)
  },
}

/** The same requests at the same times for every way. */
async function live(
  place: Pick<Route, 'infer'>,
  weather: { now: Weather },
  phaseMs: number,
  signal: AbortSignal,
): Promise<number[]> {
  const random = new VirtualClock({ seed: 5 })
  const all: Promise<number>[] = []
  for (const phase of phases) {
    weather.now = phase
    for (let n = 0; n < phaseMs / everyMs; n += 1) {
      signal.throwIfAborted()
      all.push(latencyOf(place, requestOf(random.random())))
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
  }
  return Promise.all(all)
}

async function latencyOf(place: Pick<Route, 'infer'>, request: Request): Promise<number> {
  const startMs = performance.now()
  try {
    for await (const _ of place.infer(request, AbortSignal.timeout(deadlineMs)));
    return Math.min(deadlineMs, performance.now() - startMs)
  } catch {
    return deadlineMs
  }
}

function requestOf(draw: number): Request {
  const kind = draw < kinds[0].share ? kinds[0] : kinds[1]
  return {
    model: kind === kinds[0] ? 'small' : 'large',
    priority: 'interactive',
    privacy: 'site',
    deadlineMs,
    inputs: [
      { name: 'rounds', datatype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(kind.rounds)) },
      { name: 'x', datatype: 'FP32', shape: [kind.floats], data: new Float32Array(kind.floats) },
    ],
  }
}

async function openSite(stack: AsyncDisposableStack, weather: () => Weather, signal: AbortSignal) {
  const folder = mkdtempSync(join(tmpdir(), 'ganglion-bench-router-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const deps = { clock: realClock, log: silentLog }
  for (const name of ['small', 'large']) {
    mkdirSync(join(folder, 'models', name), { recursive: true })
    writeFileSync(join(folder, 'models', name, 'model.onnx'), slowModel())
    writeFileSync(
      join(folder, 'models', name, 'model.yaml'),
      'file: model.onnx\nidempotent: true\nmemoryMb: 30\n',
    )
  }
  writeFileSync(join(folder, 'device.onnx'), slowModel(timesFaster))
  const section = {
    stateDir: join(folder, 'gateway'),
    mqtt: { port: 0 },
    http: { port: 0 },
    inference: { folders: [join(folder, 'models')], workers: 1, threads: 1 },
  }
  const gateway = stack.use(
    await Gateway.open(
      { ...deps, version: '0.0.0-bench', dashboard: join(folder, 'none') },
      loadConfig(section, 'gateway', { GANGLION_MODELS_DIR: join(folder, 'store') }),
      signal,
    ),
  )
  const mqtt = stack.use(await startProxy(Number(new URL(gateway.mqttUrl).port), weather))
  const http = stack.use(await startProxy(Number(new URL(gateway.httpUrl).port), weather))
  const outbox = stack.use(await Outbox.open(deps, { directory: join(folder, 'outbox') }, signal))
  const link = stack.use(
    await Link.open(
      { ...deps, outbox },
      { brokerUrl: `mqtt://127.0.0.1:${mqtt.port}`, deviceId: 'bench', base: 'ganglion' },
      signal,
    ),
  )
  const gatewayUrls = [`http://127.0.0.1:${http.port}`]
  const client = stack.use(
    await OffloadClient.open({ ...deps, link }, { deviceId: 'bench', gatewayUrls }, signal),
  )
  const [away] = offloadRoutes(client)
  const model = (name: string) => ({
    name,
    pipeline: 'tensor',
    files: { model: join(folder, 'device.onnx') },
  })
  const engine = stack.use(
    await EngineSupervisor.open(deps, { models: [model('small'), model('large')] }, signal),
  )
  if (!away) throw new Error('the client of gateways has no route')
  const here = engineRoute(engine)
  for (const place of [here, away]) await warm(place, signal)
  return { device: here, gateway: away }
}

function engineRoute(engine: EngineSupervisor): Route {
  return {
    id: 'engine',
    reach: 'device',
    offer: (name) => {
      const { queueMs = 0, modelMs } = engine.outlook(name) ?? {}
      return {
        usable: true,
        queueMs,
        loadMs: 0,
        ...(modelMs ? { modelMs: modelMs.p95 } : {}),
        price: 0,
        idempotent: true,
      }
    },
    infer: (request, signal) => engine.infer(request, signal),
  }
}

/** Until each model has answered some times: what is loaded is compared, and a gateway that is known. */
async function warm(place: Route, signal: AbortSignal): Promise<void> {
  const untilMs = performance.now() + 20_000
  for (const draw of [0, 0.99, 0, 0.99, 0, 0.99, 0, 0.99])
    for (;;) {
      signal.throwIfAborted()
      const request = { ...requestOf(draw), deadlineMs: 10_000 }
      const error = await Array.fromAsync(place.infer(request, signal)).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (error === undefined) break
      if (performance.now() > untilMs) throw new Error(`${place.id} does not answer`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
}

function measurements(
  latencies: Record<Way, readonly number[]>,
  phaseMs: number,
  quick: boolean,
): Measurement[] {
  const hindsight = latencies.device.map((ms, at) => Math.min(ms, latencies.gateway[at] ?? ms))
  const worse = mean(latencies.device) > mean(latencies.gateway) ? 'device' : 'gateway'
  const limit = 'two cores for a device, a gateway, two engines and the network between them'
  const missed = (list: readonly number[]) => list.filter((ms) => ms >= deadlineMs).length
  const perPhase = Math.ceil(phaseMs / everyMs)
  const note = [
    ...(quick ? ['too short to promise anything of'] : []),
    `one way after the other, the router last; ${latencies.router.length} requests a way, ${phases.map(({ name }) => name).join(', ')} for ${phaseMs / 1000} s each`,
    ...phases.map(({ name }, at) => {
      const of = (list: readonly number[]) => mean(list.slice(at * perPhase, (at + 1) * perPhase)).toFixed(0)
      return `${name}: router ${of(latencies.router)}, device ${of(latencies.device)}, gateway ${of(latencies.gateway)} ms`
    }),
    `missed: router ${missed(latencies.router)}, device ${missed(latencies.device)}, gateway ${missed(latencies.gateway)}`,
  ].join('; ')
  const row = (
    what: string,
    of: (list: readonly number[]) => number,
    baseline: readonly number[],
    against: string,
  ): Measurement => ({
    name: `router.socket-${what}`,
    value: of(latencies.router),
    unit: 'ms',
    baseline: of(baseline),
    against,
    limit,
  })
  const fixed = `always the ${worse}, the worse fixed choice`
  // Three requests in each weather show that it works: all is over before anything is learnt, or a second try is saved up.
  const promise = quick ? {} : ({ budget: { of: 'ratio', max: 1 / 3 } } as const)
  return [
    { ...row('mean', mean, latencies[worse], fixed), ...promise, note },
    {
      ...row(
        'mean-hindsight',
        mean,
        hindsight,
        'for each request the quicker of always here and always there',
      ),
      note: 'those two never compete for the two cores, nor do their requests queue behind each other as those of one mixed stream do',
    },
    row('p95', p95, latencies[worse], fixed),
  ]
}

function mean(list: readonly number[]): number {
  return list.reduce((sum, one) => sum + one, 0) / list.length
}

const p95 = (list: readonly number[]) => quantile(list, 0.95)
