/**
 * What a thought is thought with: a device's router, a broker, a real gateway, and a scripted server with OpenAI's API behind it,
 * which says what the test says.
 */
import type { ServerResponse } from 'node:http'
import type { Gateway } from '../../gateway/gateway.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { offloadRoutes } from '../../runtime/inference/offload/offload-route.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { json, ScriptedUpstream } from '../fixtures/scripted-upstream.ts'
import { until } from './broker-raw.ts'
import { openGateway } from './gateway-device.ts'
import { openDevice } from './offload-setup.ts'

/** An answer as JSON, or whatever is done with the response. */
export type Said = object | ((response: ServerResponse) => void)

export interface Thinking extends AsyncDisposable {
  readonly upstream: ScriptedUpstream
  readonly gateway: Gateway
  readonly router: Router
  /** What the model says next, in order. */
  script: Said[]
  /** Bodies of the requests so far. */
  requests(): ReturnType<typeof JSON.parse>[]
}

const chatPath = '/v1/chat/completions'

/** `price`: of a request. */
export async function openThinking({ price }: { readonly price?: number } = {}): Promise<Thinking> {
  await using stack = new AsyncDisposableStack()
  const script: Said[] = []
  const upstream = stack.use(
    await ScriptedUpstream.open(({ path }, response) => {
      if (path !== chatPath) return json(response, { error: { message: 'not here' } }, 404)
      const next = thinking.script.shift()
      if (!next) json(response, { error: { message: 'the script is at its end' } }, 400)
      else if (typeof next === 'function') next(response)
      else json(response, next)
    }),
  )
  const model = { name: 'scripted-chat', ...(price !== undefined && { price }) }
  const llm = {
    id: 'llm',
    kind: 'openai',
    url: `${upstream.url}/v1`,
    reach: 'site',
    models: [model],
    priority: true,
  }
  const gateway = stack.use(await openGateway({ section: { upstreams: [llm] } }))
  const device = stack.use(await openDevice(gateway.mqttUrl, 'dev-think'))
  const routes = offloadRoutes(device.client)
  const deps = { clock: realClock, log: silentLog, routes: () => routes, redactor: () => new Redactor() }
  const router = stack.use(new Router(deps, { allow: 'cloud' }))
  await until('the model is known', async () => router.modelsFor('chat').length === 1)
  const opened = stack.move()
  const requests = () => upstream.of(chatPath).map(({ body }) => JSON.parse(body.toString()))
  const thinking: Thinking = {
    ...{ upstream, gateway, router, script, requests },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
  return thinking
}
