/** One emulated machine for tests of single parts: attach by driver and pins, expanders give pins to the others. */
import type { At, Options, Provider } from '../../../../hal/contract/driver.ts'
import type { EmulatedPart, Part } from '../../../../hal/contract/emulator.ts'
import type { Cancel } from '../../../../hal/contract/host.ts'
import { defaultOptions } from '../../../../hal/drivers/options.ts'
import { ProviderRegistry } from '../../../../hal/drivers/provider-registry.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'

export const never = new AbortController().signal

export class AttachedIo {
  readonly host = testHost()
  readonly providers = new ProviderRegistry()
  readonly world = createEmulatedIo({ host: this.host.host, providers: this.providers })

  /** Hangs an emulated part on the machine; gives it with the context in which its driver opens. */
  attach({ driver, emulator }: Part, id: string, at: At, options: Options = {}) {
    const all = { ...defaultOptions(driver.options), ...options }
    const part: EmulatedPart = emulator({ host: this.host.host, at, options: all })
    this.world.attach(id, at, driver.connection, part)
    return { part, context: { io: this.world.io, at, options: all, host: this.host.host, id } }
  }

  offer(id: string, provider: Provider): Cancel {
    return this.providers.add(id, provider)
  }

  /** Runs `work` to its end in virtual time. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.host.clock.run(work)
  }
}
