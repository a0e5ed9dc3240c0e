/**
 * A simulated actuator: plays the movements that its kind plans, in simulated time, through whatever fault it has.
 *
 * Invariants: [hal-sim-4] a refused command moves nothing; [hal-sim-5] a command id whose action adds up (`next`,
 * `add_item`) acts once, unless the command was
 * lost or the device stuck; [hal-sim-6] at most `stepsMax` steps wait at a time.
 */
import type { Actuator, Command, CommandMeta } from '../contract/actuator.ts'
import type { SimFault } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { ParsedEntity } from './home.ts'
import { kinds } from './kinds/index.ts'
import type { Change, Kind, Movement, Snapshot } from './kinds/kind.ts'
import { SimComponent } from './sim-component.ts'

/** Steps that may wait: a full cover travel has 17; more than 64 means a flood of commands, which is refused as `busy`. */
const stepsMax = 64
/** Remembered ids of commands that must not act twice; older ones are past any time to live. */
const idsMax = 256
/** How much longer everything takes with the fault `slow`, unless it says otherwise. */
const slowFactor = 10

export class SimActuator extends SimComponent implements Actuator {
  declare readonly info: Actuator['info']
  readonly #kind: Kind
  readonly #memory = new Map<string, string>()
  readonly #doneIds = new Set<string>()
  readonly #waiting = new Set<Cancel>()
  #lost = 0

  constructor(entity: ParsedEntity & { readonly info: Actuator['info'] }, host: Host) {
    super(entity, host)
    this.#kind = kinds[entity.info.kind]
  }

  async command(command: Command, meta: CommandMeta, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.assertPresent()
    // What the device goes by is what it shows: one that lies believes itself.
    const shown = { state: this.current().state, attributes: this.current().attributes }
    const movement = this.#kind.begin({ info: this.info, now: shown, memory: this.#memory }, command)
    if (this.#isLost()) return
    if (!movement.idempotent && this.#doneIds.has(meta.id)) return this.report()
    this.#play(movement)
    if (!movement.idempotent && this.fault?.kind !== 'stuck') this.#remember(meta.id)
  }

  override setFault(fault: SimFault | undefined): void {
    this.assertOpen()
    this.#lost = 0
    if (fault?.kind === 'stuck' || fault?.kind === 'lying') this.#halt()
    // What a liar only claimed to be doing must not become true when it stops lying.
    else if (this.fault?.kind === 'lying') this.#cancelAll()
    super.setFault(fault)
  }

  override setTruth(change: Change): void {
    this.assertOpen()
    if (change.state !== undefined) this.#cancelAll()
    super.setTruth(change)
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelAll()
    await super[Symbol.asyncDispose]()
  }

  #isLost(): boolean {
    const { fault } = this
    if (fault?.kind !== 'lost-command' || this.#lost >= (fault.count ?? Number.POSITIVE_INFINITY))
      return false
    this.#lost += 1
    return true
  }

  #remember(id: string): void {
    this.#doneIds.add(id)
    const oldest = this.#doneIds.values().next().value
    if (this.#doneIds.size > idsMax && oldest !== undefined) this.#doneIds.delete(oldest)
  }

  #play(movement: Movement): void {
    const factor = this.fault?.kind === 'slow' ? (this.fault.factor ?? slowFactor) : 1
    // A stuck device answers, and its answer shows that nothing moved.
    const steps =
      this.fault?.kind === 'stuck'
        ? movement.steps.slice(0, 1).map((step) => ({ ...step, apply: () => ({}) }))
        : movement.steps
    if (movement.replaces) this.#cancelAll()
    if (this.#waiting.size + steps.length > stepsMax)
      throw new HalError('busy', `${this.info.id}: ${this.#waiting.size} steps are still under way`)
    for (const step of steps) this.#schedule(step.afterMs * factor, step.apply)
  }

  #schedule(afterMs: number, apply: (now: Snapshot) => Change): void {
    const cancel = this.host.clock.after(afterMs, () => {
      this.#waiting.delete(cancel)
      this.move(apply)
    })
    this.#waiting.add(cancel)
  }

  #halt(): void {
    const moving = this.#waiting.size > 0
    this.#cancelAll()
    const { halt } = this.#kind
    if (moving && halt) this.move((now) => halt(now))
  }

  #cancelAll(): void {
    for (const cancel of this.#waiting) cancel()
    this.#waiting.clear()
  }
}
