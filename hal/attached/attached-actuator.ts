/**
 * An attached actuator as the rest of the device sees it. It writes nothing itself: commands go, with their lease or
 * without, to the safety thread, which has the outputs, and refuses and audits; telemetry comes from there.
 */
import type { Actuator, Command, CommandMeta } from '../contract/actuator.ts'
import type { Telemetry } from '../contract/component.ts'
import type { Cancel } from '../contract/host.ts'
import type { SafetyPort } from '../safety/plan.ts'

export class AttachedActuator implements Actuator {
  readonly info: Actuator['info']
  readonly #safety: SafetyPort

  constructor(info: Actuator['info'], safety: SafetyPort) {
    this.info = info
    this.#safety = safety
  }

  current(): Telemetry {
    return this.#safety.telemetry(this.info.id)
  }

  onTelemetry(listener: (telemetry: Telemetry) => void): Cancel {
    return this.#safety.onTelemetry(this.info.id, listener)
  }

  async command(command: Command, meta: CommandMeta, signal: AbortSignal): Promise<void> {
    await this.#safety.command(this.info.id, command, meta, signal)
  }

  /** The board closes the safety thread, which drives every output to its safe value. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
