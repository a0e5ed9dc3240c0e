/**
 * Answers of devices to calls, where they are too large for MQTT: the device uploads one under a ticket that came with its call,
 * and says so in its reply. Bounded in size and number: one is in memory until its caller has it.
 */
import { wireLimits } from '../../runtime/wire/limits.ts'
import { type OffloadTickets, TicketError } from '../offload/tickets.ts'

/** At once: 64 MB of them. Most calls are answered in the reply. */
const answersMax = 8

/** A place for one answer, as long as its call is under way. */
export interface AnswerPlace extends Disposable {
  readonly ticket: string
  /** Once the device said that it is there. */
  readonly body: Uint8Array | undefined
}

export class LargeAnswers {
  readonly #tickets: OffloadTickets
  #under = 0

  constructor(tickets: OffloadTickets) {
    this.#tickets = tickets
  }

  /** Undefined where too many tickets are out: the answer has to fit into the reply then. */
  expect(lifeMs: number): AnswerPlace | undefined {
    const place = { body: undefined as Uint8Array | undefined, began: false }
    const ticket = this.#tickets.expect(
      {
        bytesMax: wireLimits.answerBytesMax,
        onBegin: () => {
          if (this.#under >= answersMax) throw new TicketError('busy', 'too many large answers at once')
          this.#under += 1
          place.began = true
        },
        onArrived: (body) => {
          place.body = body
        },
        onGone: () => {},
      },
      lifeMs,
    )
    if (ticket === undefined) return undefined
    return {
      ticket,
      get body() {
        return place.body
      },
      [Symbol.dispose]: () => {
        this.#tickets.forget(ticket)
        if (place.began) this.#under -= 1
        place.began = false
      },
    }
  }
}
