/** The hub that a command talks to: the one named with --url, else the one that runs in the state directory. */
import type { Context } from './context.ts'
import { gatewayToken } from './gateway-token.ts'
import { HubClient } from './hub-client.ts'
import { hubUrl } from './hub-file.ts'

/** Throws UsageError where there is none. */
export function openHub(options: { url?: string }, context: Context): HubClient {
  return new HubClient(hubUrl(options.url, context.hubDir), context.signal, gatewayToken())
}
