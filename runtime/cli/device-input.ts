/** What the command line says about a device, as its configuration. Kept apart from the device, which `up` does not load. */
import type { DeviceConfigInput } from '../config/config.ts'

export interface DeviceInputOptions {
  /** A file; false: none, whatever is shipped. */
  readonly home?: string | false
  readonly id?: string
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

/** What is undefined is left to the configuration file and the defaults. */
export function deviceInput(options: DeviceInputOptions, place: Place): DeviceConfigInput {
  return {
    stateDir: place.stateDir,
    id: options.id,
    home: options.home || undefined,
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
