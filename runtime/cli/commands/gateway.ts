/** `ganglion gateway`: runs the gateway as a child of this process, where `say` and the others find it. */
import { Child } from '../child.ts'
import type { Context } from '../context.ts'
import { removeHub, writeHub } from '../hub-file.ts'

export interface GatewayOptions {
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
export const stopMsMax = 4_000

export function openGateway(
  options: GatewayOptions,
  stateDir: string,
  signal: AbortSignal,
): Promise<Child<GatewayReady>> {
  const args = ['--json', '--supervised', '--state-dir', stateDir]
  const flags = {
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
  const { terminal, stateDir, signal } = context
  await using child = await openGateway(options, stateDir, signal)
  const { mqtt, http } = child.ready
  writeHub(stateDir, { pid: process.pid, http, mqtt })
  using _hub = { [Symbol.dispose]: () => removeHub(stateDir, process.pid) }
  if (terminal.json) terminal.out(JSON.stringify({ ready: true, mqtt, http }))
  else terminal.out(`gateway: broker ${mqtt}, dashboard ${http}; Ctrl-C stops it`)
  const stopped = new Promise<undefined>((resolve) =>
    signal.addEventListener('abort', () => resolve(undefined), { once: true }),
  )
  const how = await Promise.race([child.ended, stopped])
  if (how === undefined) return 0
  terminal.error(how)
  return 1
}
