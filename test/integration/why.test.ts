/** `ganglion why`: from a router's decision over the wire and the gateway's API to a person's terminal. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { Calls } from '../../runtime/assistant/calls.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import type { Route } from '../../runtime/inference/router/route.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { InferError, type ServedBy } from '../../runtime/wire/infer.ts'
import { until } from './broker-raw.ts'
import { openGateway, ScriptedDevice } from './gateway-device.ts'

const main = fileURLToPath(new URL('../../runtime/main.ts', import.meta.url))
const forever = new AbortController().signal
let gateway: Gateway
let device: ScriptedDevice
let router: Router
let url: string
let places: readonly Route[]

const engine: Route = {
  id: 'engine',
  reach: 'device',
  offer: () => ({ usable: true, queueMs: 0, loadMs: 0, modelMs: 30, price: 0, idempotent: true }),
  async *infer() {
    yield { id: 'x', final: true, outputs: [], modelMs: 3 }
  },
}
const away: Route = {
  id: 'gateway/a',
  reach: 'site',
  offer: () => ({ usable: true, queueMs: 0, loadMs: 0, modelMs: 1, price: 0, idempotent: true }),
  // biome-ignore lint/correctness/useYield: it fails before it says anything.
  async *infer() {
    throw new InferError('unavailable', 'the gateway has gone', { retryable: true })
  },
}

beforeEach(async () => {
  places = [engine, away]
  gateway = await openGateway()
  url = gateway.httpUrl
  device = await ScriptedDevice.open(gateway.mqttUrl)
  const deps = {
    clock: realClock,
    log: silentLog,
    routes: () => places,
    redactor: () => new Redactor(),
  }
  router = new Router(deps, { probeShare: 0 })
  // Only `why` is called: nothing else of a device is there.
  const calls = new Calls({ clock: realClock, router } as unknown as ConstructorParameters<typeof Calls>[0])
  device.answer = async (call) => {
    try {
      return { result: await calls.answer('why', call, forever) }
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return { error: { code, message } }
    }
  }
  await device.online()
  await until('the device is known', async () => {
    const answer = (await (await fetch(`${url}/api/devices`)).json()) as {
      devices: { availability: string }[]
    }
    return answer.devices[0]?.availability === 'online'
  })
})
afterEach(async () => {
  await device[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
  await router[Symbol.asyncDispose]()
})

async function decide(privacy: 'device' | 'site'): Promise<string> {
  const request = { model: 'vww', priority: 'interactive', deadlineMs: 5000, privacy, inputs: [] } as const
  const [last] = await Array.fromAsync(router.infer(request, forever))
  return last?.decision ?? ''
}

async function ganglion(...args: string[]) {
  const child = spawn(process.execPath, [main, ...args, '--url', url])
  const [out, err, [status]] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, 'close'),
  ])
  return { out, err, status }
}

it('a person reads what happened, where and why, in plain words [router-5]', async () => {
  const id = await decide('site')
  const { out, err } = await ganglion('why', id)
  expect(err).toBe('')
  expect(out).toContain('vww: answered by engine after')
  expect(out).toContain('may not leave this site')
  expect(out).toContain('sent to gateway/a first: costs least')
  expect(out).toContain('gateway/a was asked: failed (unavailable): the gateway has gone')
  expect(out).toContain('engine was asked next: answered')
})

it('what the gateway decided is told in plain words, a kept answer too [router-5]', async () => {
  const ask = async (served: ServedBy) => {
    const route: Route = {
      ...away,
      async *infer() {
        yield { id: 'x', final: true, outputs: [], route: 'gateway/a/second', served }
      },
    }
    places = [route]
    return (await ganglion('why', await decide('site'))).out
  }
  const failed = [{ backend: 'first', code: 'unavailable' as const }]
  const fresh = await ask({ backend: 'second', failed, cached: false, queueMs: 12, runMs: 40 })
  expect(fresh).toContain(
    'the gateway: first gave no answer (unavailable); second answered in 40 ms, after 12 ms of waiting',
  )
  const kept = await ask({ backend: 'second', failed: [], cached: true, queueMs: 0, runMs: 0 })
  expect(kept).toContain('the gateway: kept from an earlier request with the same inputs')
})

it('without an id the latest are listed; with --json a machine reads them [router-5]', async () => {
  const first = await decide('device')
  const second = await decide('device')
  const { out } = await ganglion('why')
  const [older, newer] = [first, second].map((id) => out.indexOf(id.slice(0, 8))) as [number, number]
  expect(newer).toBeGreaterThan(-1)
  expect(older).toBeGreaterThan(newer)
  const json = JSON.parse((await ganglion('why', first, '--json')).out)
  expect(json.decisions[0]).toMatchObject({ id: first, model: 'vww', privacy: 'device', route: 'engine' })
  const refused = json.decisions[0].candidates.find((one: { route: string }) => one.route === 'gateway/a')
  expect(refused.whyNot).toBe('labelled device: it may not travel as far as site')
})

it('as much of an id as is unique is enough; with less, the person is asked for more', async () => {
  const ids = [await decide('device'), await decide('device')] as const
  const length = [...ids[0]].findIndex((letter, at) => letter !== ids[1][at]) + 1
  const { out } = await ganglion('why', ids[0].slice(0, length), '--json')
  expect(JSON.parse(out).decisions.map(({ id }: { id: string }) => id)).toEqual([ids[0]])
  const several = Array.from({ length: 17 }, () => decide('device'))
  await Promise.all(several)
  const all = router.decisions().map(({ id }) => id)
  const shared = all.map((id) => id[0]).find((letter, at, letters) => letters.indexOf(letter) !== at) ?? ''
  const { err, status } = await ganglion('why', shared)
  expect(err).toMatch(/^ganglion: \d+ decisions begin with .: give more of the id\n$/)
  expect(status).toBe(2)
})

it('a decision that is not kept is a mistake of one line', async () => {
  const { err, status } = await ganglion('why', 'nonesuch')
  expect(err).toContain('no decision nonesuch: only the latest ones are kept')
  expect(status).toBe(2)
})
