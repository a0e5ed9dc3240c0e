/** `ganglion device`: runs one device in this process until it is told to stop. */
import * as v from 'valibot'
import { realClock } from '../../base/clock.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import { HttpError, httpGet } from '../../base/http-get.ts'
import { untilStopped } from '../../base/stop.ts'
import { loadDeviceConfig } from '../../config/config.ts'
import { Runtime } from '../../runtime.ts'
import type { Context } from '../context.ts'
import { type DeviceInputOptions, deviceInput } from '../device-input.ts'
import { exitCodes } from '../exit.ts'
import { authorization, gatewayToken } from '../gateway-token.ts'
import { createCliLog } from '../log.ts'

const healthAnswer = v.object({ broker: v.object({ url: v.string() }) })
const healthBytesMax = 64 * 1024
const healthMsMax = 10_000

export interface DeviceOptions extends DeviceInputOptions {
  readonly gateway?: string
  readonly broker?: string
  readonly config?: string
  /** Simulate the home that is shipped when none is named. */
  readonly firstHome?: boolean
}

export async function device(options: DeviceOptions, context: Context): Promise<number> {
  const { terminal, signal, stateDir } = context
  const broker =
    options.broker ?? (options.gateway === undefined ? undefined : await brokerOf(options.gateway, signal))
  const gateway = options.gateway?.startsWith('http') ? options.gateway : undefined
  const config = loadDeviceConfig(deviceInput(options, { stateDir, gateway, broker }), options.config)
  const log = createCliLog(config.log.level, config.log.json)
  const { hal, firstHome, sharedHome } = await context.hal()
  const shipped = config.share
    ? { name: 'three-rooms.yaml', yaml: sharedHome }
    : { name: 'first-home.yaml', yaml: firstHome }
  const home = options.firstHome ? { home: shipped } : {}
  await using runtime = await Runtime.open({ clock: realClock, log, hal, ...home }, config, signal)
  if (terminal.json)
    terminal.out(JSON.stringify({ ready: true, device: runtime.device, entities: runtime.registry.size }))
  else terminal.out(`${runtime.device} is running with ${runtime.registry.size} entities; Ctrl-C stops it`)
  await untilStopped(signal)
  return exitCodes.done
}

/** A gateway is named by its HTTP address, which knows the broker; a broker's own address is taken as it is. */
async function brokerOf(gateway: string, signal: AbortSignal): Promise<string> {
  if (/^mqtts?:/.test(gateway)) return gateway
  if (!URL.canParse(gateway))
    throw new UsageError(`--gateway ${gateway}: not a URL, for example http://127.0.0.1:8080`)
  const limit = AbortSignal.timeout(healthMsMax)
  try {
    const url = new URL('/api/health', gateway).href
    const headers = authorization(gatewayToken())
    const health = await httpGet(url, healthBytesMax, AbortSignal.any([signal, limit]), headers)
    return v.parse(healthAnswer, JSON.parse(health.toString())).broker.url
  } catch (error) {
    signal.throwIfAborted()
    throw new UsageError(`--gateway ${gateway}: ${problemOf(error, limit)}`, { cause: error })
  }
}

function problemOf(error: unknown, limit: AbortSignal): string {
  if (limit.aborted) return `did not answer within ${healthMsMax / 1000} s`
  if (error instanceof HttpError && error.status === 401)
    return 'this gateway needs its token; set GANGLION_GATEWAY_TOKEN to it'
  return error instanceof HttpError ? messageOf(error) : 'is no gateway: its answer is not understood'
}
