/** What devices that run now say of their models: for commands that look at the same models on disk. */
import { realClock } from '../base/clock.ts'
import type { StatusResult } from '../wire/messages.ts'
import type { Context } from './context.ts'
import { gatewayToken } from './gateway-token.ts'
import { HubClient } from './hub-client.ts'
import { readHub } from './hub-file.ts'
import { poll } from './poll.ts'

export type LiveModel = StatusResult['models'][number]

export interface LiveModels {
  readonly device: string
  readonly models: readonly LiveModel[]
  readonly engine: StatusResult['engine']
}

const askMsMax = 5_000

/** Of the device of this machine's hub; undefined where none runs or it does not answer. */
export async function liveModels(context: Context): Promise<LiveModels | undefined> {
  const hub = readHub(context.hubDir)
  if (hub?.device === undefined) return undefined
  const { http, device } = hub
  const client = new HubClient(http, context.signal, gatewayToken())
  try {
    const path = `/api/devices/${encodeURIComponent(device)}/status`
    const { models, engine } = await client.get<StatusResult>(path, askMsMax)
    return { device, models, engine }
  } catch {
    context.signal.throwIfAborted()
    return undefined
  }
}

/** A device looks every two seconds, and loads what is new to it once. */
const servedMsMax = 6_000

/**
 * Waits until the device of this machine's hub serves all of `names`, so that whoever is told so can ask at once. Returns its id;
 * undefined where none runs, or none takes them: it may look into other folders.
 */
export async function servedBy(names: readonly string[], context: Context): Promise<string | undefined> {
  const serves = (live: LiveModels | undefined) =>
    names.every((name) =>
      live?.models.some((model) => model.name === name && !['absent', 'failed'].includes(model.state)),
    )
  const times = { everyMs: 250, limitMs: servedMsMax }
  const ask = () => liveModels(context)
  const live = await poll(realClock, times, ask, (one) => one === undefined || serves(one), context.signal)
  return serves(live) ? live?.device : undefined
}
