/** What the command line says about a device, as its configuration. Kept apart from the device, which `up` does not load. */
import { UsageError } from '../base/errors.ts'
import type { DeviceConfigInput } from '../config/config.ts'

export interface DeviceInputOptions {
  /** A file; false: none, whatever is shipped. */
  readonly home?: string | false
  readonly id?: string
  /** `2/3:DIRECTORY`: which part of the simulated home, and where the parts meet. */
  readonly share?: string
  /** Devices of whose agents some may move here. */
  readonly acceptFrom?: readonly string[]
  readonly microphone?: string
  readonly modelsDir?: string
  /** False: no speech models, no engine. */
  readonly voice: boolean
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

interface Place {
  readonly stateDir?: string | undefined
  /** HTTP address of the gateway. */
  readonly gateway?: string | undefined
  readonly broker?: string | undefined
}

function shareOf(text: string): { part: number; of: number; directory: string } {
  const [, part, of, directory = ''] = /^(\d+)\/(\d+):(.+)$/.exec(text) ?? []
  if (!directory) throw new UsageError(`--share ${text}: not a share, for example 2/3:/tmp/home`)
  return { part: Number(part), of: Number(of), directory }
}

/** What is undefined is left to the configuration file and the defaults. */
export function deviceInput(options: DeviceInputOptions, place: Place): DeviceConfigInput {
  return {
    stateDir: place.stateDir,
    id: options.id,
    home: options.home || undefined,
    share: options.share === undefined ? undefined : shareOf(options.share),
    agents: options.acceptFrom === undefined ? undefined : { acceptFrom: options.acceptFrom },
    gateway: place.gateway,
    broker: place.broker === undefined ? undefined : { url: place.broker },
    voice: {
      ...(options.voice ? {} : { enabled: false }),
      ...(options.microphone ? { microphone: options.microphone } : {}),
    },
    models: options.modelsDir === undefined ? undefined : { dir: options.modelsDir },
    log: options.logLevel === undefined ? undefined : { level: options.logLevel },
  } as DeviceConfigInput
}
