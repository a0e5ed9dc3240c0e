/**
 * The lines that safety looks at: emergency stop, conflict monitor, and the inputs that rules need.
 *
 * Invariants: [safety-5] the loops of emergency stop and conflict monitor are 1 while closed; the pull is against them,
 * so that a broken wire reads as open, and so does a line that cannot be read. Edges call `onEdge` at once where the
 * line has them; every cycle reads all lines all the same.
 */
import { HalError } from '../contract/errors.ts'
import type { SafetyConfig } from '../contract/hardware-config.ts'
import type { HostLog } from '../contract/host.ts'
import type { Digital, DigitalOptions, Io, PinRef } from '../contract/io.ts'

interface LoopConfig {
  readonly pin: PinRef
  readonly activeLow?: boolean
}

interface InputDeps {
  readonly io: Io
  readonly log: HostLog
  /** Something changed: read all. */
  readonly onEdge: () => void
}

export interface InputLevels {
  /** Undefined where none is configured. */
  readonly emergencyStopClosed: boolean | undefined
  readonly monitorContent: boolean | undefined
  /** NaN while an input cannot be read. */
  readonly inputs: ReadonlyMap<string, number>
}

/** One line that is opened again at every reading until it can be. */
class InputLine {
  readonly #config: LoopConfig
  readonly #deps: InputDeps
  readonly #name: string
  #line: Digital | undefined
  #told = false

  constructor(name: string, config: LoopConfig, deps: InputDeps) {
    this.#name = name
    this.#config = config
    this.#deps = deps
  }

  /** Undefined while it cannot be read. */
  read(): 0 | 1 | undefined {
    try {
      this.#line ??= this.#open()
      const level = this.#line.read()
      this.#told = false
      return level
    } catch (error) {
      this.close()
      if (!this.#told)
        this.#deps.log.error('a safety input cannot be read', { input: this.#name, reason: String(error) })
      this.#told = true
      return undefined
    }
  }

  close(): void {
    this.#line?.close()
    this.#line = undefined
  }

  #open(): Digital {
    const { pin, activeLow = false } = this.#config
    const mode = activeLow ? 'input-pull-up' : 'input-pull-down'
    const options: DigitalOptions = { pin, activeLow, mode }
    const onReadable = () => this.#deps.onEdge()
    try {
      const edge = { rising: true, falling: true }
      return this.#deps.io.digital({ ...options, edge, onReadable, onError: onReadable })
    } catch (error) {
      // Expanders have no edges that reach us: the cycle reads them.
      if (!(error instanceof HalError && error.code === 'unsupported')) throw error
      return this.#deps.io.digital(options)
    }
  }
}

export class SafetyInputs implements Disposable {
  readonly #emergencyStop: InputLine | undefined
  readonly #monitor: InputLine | undefined
  readonly #inputs: ReadonlyMap<string, InputLine>

  constructor(config: SafetyConfig, deps: InputDeps) {
    const { emergencyStop, conflictMonitor, inputs = [] } = config
    this.#emergencyStop = emergencyStop && new InputLine('emergency stop', emergencyStop, deps)
    this.#monitor = conflictMonitor && new InputLine('conflict monitor', conflictMonitor, deps)
    this.#inputs = new Map(inputs.map((input) => [input.name, new InputLine(input.name, input, deps)]))
  }

  read(): InputLevels {
    return {
      emergencyStopClosed: this.#emergencyStop && this.#emergencyStop.read() === 1,
      monitorContent: this.#monitor && this.#monitor.read() === 1,
      inputs: new Map([...this.#inputs].map(([name, line]) => [name, line.read() ?? Number.NaN])),
    }
  }

  [Symbol.dispose](): void {
    this.#emergencyStop?.close()
    this.#monitor?.close()
    for (const line of this.#inputs.values()) line.close()
  }
}
