/**
 * The accelerators that are configured on this device, each with the CPU behind it. They start beside everything else: the
 * device does not wait for a vendor's library.
 */
import type { Accelerator, AcceleratorConfig } from '../../hal/contract/accelerator.ts'
import type { Hal } from '../../hal/contract/board.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { StatusResult } from '../wire/messages.ts'
import { CpuAccelerator } from './cpu-accelerator.ts'
import type { Engines } from './supervisor/engines.ts'

export interface AcceleratorsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly hal: Hal
  /** What the CPU behind them runs in: it sets a list of models of its own. */
  readonly engines: Engines
}

export type AcceleratorStatus = NonNullable<StatusResult['accelerators']>[number]

export class Accelerators implements AsyncDisposable {
  readonly list: readonly Accelerator[]
  readonly #stack: AsyncDisposableStack

  private constructor(list: readonly Accelerator[], stack: AsyncDisposableStack) {
    this.list = list
    this.#stack = stack
  }

  static async open(
    deps: AcceleratorsDeps,
    configs: readonly AcceleratorConfig[],
    signal: AbortSignal,
  ): Promise<Accelerators> {
    signal.throwIfAborted()
    const { clock, log, hal, engines } = deps
    await using stack = new AsyncDisposableStack()
    const list: Accelerator[] = []
    if (configs.length > 0) {
      const cpu = stack.use(new CpuAccelerator(engines))
      const host = { clock, log: log.named('accelerator'), random: () => clock.random() }
      for (const config of configs) list.push(stack.use(await hal.openAccelerator(config, cpu, host)))
    }
    const stop = new AbortController()
    stack.defer(() => stop.abort())
    // What it finds is in the log and in the status.
    for (const accelerator of list) void accelerator.probe(stop.signal)
    return new Accelerators(list, stack.move())
  }

  /** Each as it is now, with what runs elsewhere and why. */
  status(): Promise<AcceleratorStatus[]> {
    return Promise.all(
      this.list.map(async (accelerator) => {
        const { state, reason, restarts, memoryCap, fallback } = await accelerator.health()
        return {
          id: accelerator.id,
          state,
          restarts,
          ...(reason === undefined ? {} : { reason }),
          ...(memoryCap === undefined ? {} : { memoryCap }),
          ...(fallback === undefined ? {} : { fallback }),
        }
      }),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}
