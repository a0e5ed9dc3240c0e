/**
 * What the broker keeps of moves, for devices that are away: that an agent of theirs goes on here, until they have let go of it.
 */
import type { Bus } from '../../link/bus.ts'
import { type Signer, seal } from '../together/envelope.ts'
import type { Said } from './words.ts'

export class Retained {
  readonly #bus: Bus
  readonly #signer: Signer
  /** Topics, by the move's id. */
  readonly #topics = new Map<string, string>()

  constructor(bus: Bus, signer: Signer) {
    this.#bus = bus
    this.#signer = signer
  }

  get ids(): readonly string[] {
    return [...this.#topics.keys()]
  }

  has(id: string): boolean {
    return this.#topics.has(id)
  }

  /** Also for those who are away now; once. */
  keep(to: string, word: Omit<Said<'seized'>, 'to'>): void {
    if (this.#topics.has(word.id)) return
    const topic = this.#bus.topics.move(to, this.#signer.device, word.id)
    this.#topics.set(word.id, topic)
    this.#bus.setRetained(topic, seal(this.#signer, 'move', { ...word, to }))
  }

  retire(id: string): void {
    const topic = this.#topics.get(id)
    if (topic === undefined) return
    this.#topics.delete(id)
    this.#bus.clearRetained(topic)
  }
}
