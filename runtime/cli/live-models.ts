/** What devices that run now say of their models: for commands that look at the same models on disk. */
import type { StatusResult } from '../wire/messages.ts'
import type { Context } from './context.ts'
import { gatewayToken } from './gateway-token.ts'
import { HubClient } from './hub-client.ts'
import { readHub } from './hub-file.ts'

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
