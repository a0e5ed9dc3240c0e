/** `ganglion gateway`: runs the gateway as a child of this process, where `say` and the others find it. */
import { join } from 'node:path'
import { readConfigSection } from '../../base/config-file.ts'
import { untilStopped } from '../../base/stop.ts'
import { Child } from '../child.ts'
import type { Context } from '../context.ts'
import { exitCodes } from '../exit.ts'
import { announceHub, lockHub } from '../hub-file.ts'

export interface GatewayOptions {
  /** Its own; unique on its broker. */
  readonly id?: string
  readonly mqttPort?: string
  readonly httpPort?: string
  readonly broker?: string
  readonly config?: string
  readonly logLevel?: string
}

export interface GatewayReady {
  readonly mqtt: string
  readonly http: string
}

const readyMsMax = 20_000
/** Leaves a second of the five that Ctrl-C may take. */
const stopMsMax = 4_000

export function openGateway(
  options: GatewayOptions,
  stateDir: string | undefined,
  signal: AbortSignal,
  stopMsMax: number,
): Promise<Child<GatewayReady>> {
  const args = ['--json', '--supervised']
  const flags = {
    '--id': options.id,
    '--state-dir': stateDir,
    '--mqtt-port': options.mqttPort,
    '--http-port': options.httpPort,
    '--broker': options.broker,
    '--config': options.config,
    '--log-level': options.logLevel ?? 'warn',
  }
  for (const [flag, value] of Object.entries(flags)) if (value !== undefined) args.push(flag, value)
  return Child.open<GatewayReady>(
    { name: 'the gateway', program: 'gateway', args, readyMsMax, stopMsMax },
    signal,
  )
}

export async function gateway(options: GatewayOptions, context: Context): Promise<number> {
  const { terminal, hubDir, signal } = context
  const section = options.config === undefined ? {} : readConfigSection(options.config, 'gateway')
  using _lock = lockHub(hubDir)
  await using child = await openGateway(options, gatewayDir(section, context), signal, stopMsMax)
  const { mqtt, http } = child.ready
  using _hub = announceHub(hubDir, { http, mqtt })
  if (terminal.json) terminal.out(JSON.stringify({ ready: true, mqtt, http }))
  else terminal.out(`gateway: broker ${mqtt}, dashboard ${http}; Ctrl-C stops it`)
  const how = await Promise.race([child.ended, untilStopped(signal)])
  if (how === undefined) return exitCodes.done
  terminal.error(how)
  return exitCodes.failed
}

/** Where a gateway keeps its state; undefined: where its configuration says. An option wins over the file. */
export function gatewayDir(section: Record<string, unknown>, context: Context): string | undefined {
  if (context.stateDir === undefined && section['stateDir'] !== undefined) return undefined
  return join(context.hubDir, 'gateway')
}
