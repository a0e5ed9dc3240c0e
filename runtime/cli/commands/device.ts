/** `ganglion device`: runs one device in this process until it is told to stop. */
import * as v from 'valibot'
import { realClock } from '../../base/clock.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import { httpGet } from '../../base/http-get.ts'
import { untilStopped } from '../../base/stop.ts'
import { type DeviceConfigInput, loadDeviceConfig } from '../../config/config.ts'
import { Runtime } from '../../runtime.ts'
import type { Context } from '../context.ts'
import { createCliLog } from '../log.ts'

const healthAnswer = v.object({ broker: v.object({ url: v.string() }) })
const healthBytesMax = 64 * 1024
const healthMsMax = 10_000

export interface DeviceOptions {
  readonly gateway?: string
  readonly broker?: string
  readonly home?: string
  readonly config?: string
  readonly id?: string
  readonly microphone?: string
  readonly modelsDir?: string
  /** False: no speech models, no engine. */
  readonly voice: boolean
  /** Simulate the home that is shipped when none is named. */
  readonly firstHome?: boolean
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly supervised?: boolean
}

export async function device(options: DeviceOptions, context: Context): Promise<number> {
  const { terminal, signal } = context
  const broker =
    options.broker ??
    (options.gateway === undefined
      ? undefined
      : await brokerOf(options.gateway, AbortSignal.any([signal, AbortSignal.timeout(healthMsMax)])))
  const config = loadDeviceConfig(configInput(options, broker, context.stateDir), options.config)
  const log = createCliLog(config.log.level, config.log.json)
  const { hal, firstHome } = await context.hal()
  const home = options.firstHome ? { home: { name: 'first-home.yaml', yaml: firstHome } } : {}
  await using runtime = await Runtime.open({ clock: realClock, log, hal, ...home }, config, signal)
  if (terminal.json)
    terminal.out(JSON.stringify({ ready: true, device: runtime.device, entities: runtime.registry.size }))
  else terminal.out(`${runtime.device} is running with ${runtime.registry.size} entities; Ctrl-C stops it`)
  await untilStopped(signal, options.supervised === true)
  return 0
}

/** A gateway is named by its HTTP address, which knows the broker; a broker's own address is taken as it is. */
async function brokerOf(gateway: string, signal: AbortSignal): Promise<string> {
  if (/^mqtts?:/.test(gateway)) return gateway
  if (!URL.canParse(gateway))
    throw new UsageError(`--gateway ${gateway}: not a URL, for example http://127.0.0.1:8650`)
  try {
    const health: unknown = JSON.parse(
      (await httpGet(new URL('/api/health', gateway).href, healthBytesMax, signal)).toString(),
    )
    return v.parse(healthAnswer, health).broker.url
  } catch (error) {
    throw new UsageError(`--gateway ${gateway}: ${messageOf(error)}`, { cause: error })
  }
}

function configInput(
  options: DeviceOptions,
  broker: string | undefined,
  stateDir: string,
): DeviceConfigInput {
  return {
    stateDir,
    id: options.id,
    home: options.home,
    gateway: options.gateway?.startsWith('http') ? options.gateway : undefined,
    broker: broker === undefined ? undefined : { url: broker },
    voice: {
      ...(options.voice ? {} : { enabled: false }),
      ...(options.microphone ? { microphone: options.microphone } : {}),
    },
    models: options.modelsDir === undefined ? undefined : { dir: options.modelsDir },
    log: options.logLevel === undefined ? undefined : { level: options.logLevel },
  } as DeviceConfigInput
}
