/**
 * Text that a request takes to a cloud goes there without what is personal, and what was hidden comes back in the answer: for
 * every backend of reach `cloud` but those whose configuration says otherwise, whoever asked and whatever the model.
 */
import { setImmediate } from 'node:timers/promises'
import { type Redacted, redactedInTurns } from '../../runtime/inference/redaction/redacted.ts'
import { type KnownName, Redactor } from '../../runtime/inference/redaction/redactor.ts'
import type { InferRequest } from '../../runtime/wire/infer.ts'
import type { Backend } from './backends/backend.ts'

/** Names of this site now; the same array while they are the same. */
export type SiteNames = () => readonly KnownName[]

export class CloudTexts {
  readonly #names: SiteNames
  readonly #asTheyAre: ReadonlySet<string>
  #made: { readonly names: readonly KnownName[]; readonly redactor: Redactor } | undefined
  #turn: Promise<void> = Promise.resolve()

  /** `asTheyAre`: ids of backends that get texts unchanged. */
  constructor(names: SiteNames, asTheyAre: ReadonlySet<string>) {
    this.#names = names
    this.#asTheyAre = asTheyAre
  }

  /**
   * Long texts are looked at in turns: everything else here goes on meanwhile. Throws InferError `bad-input` for texts that are too
   * long or nested too deep to be looked at: they do not leave. Throws the signal's reason.
   */
  async onWay(
    request: Omit<InferRequest, 'id'>,
    { id, reach }: Pick<Backend, 'id' | 'reach'>,
    signal: AbortSignal,
  ): Promise<Redacted> {
    if (reach !== 'cloud' || this.#asTheyAre.has(id)) return { request, back: (chunk) => chunk }
    return redactedInTurns(this.#redactor(), request, async () => {
      // One request a round of the event loop, however many are looked at.
      this.#turn = this.#turn.then(() => setImmediate())
      await this.#turn
      signal.throwIfAborted()
    })
  }

  #redactor(): Redactor {
    const names = this.#names()
    if (this.#made?.names !== names) this.#made = { names, redactor: new Redactor(names) }
    return this.#made.redactor
  }
}
