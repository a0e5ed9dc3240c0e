/**
 * Who asks: what a name is worth.
 *
 * Invariants: [people-1] a name that nothing proves is recorded as `claimed:NAME`, never as the name; [people-5] it gives no yes; [people-2] after a few wrong PINs
 * in a row a name is refused for a while that doubles, whatever PIN comes, also after a restart (`pin-guesses.ts`); [people-3] what somebody at the device has signed is good
 * for that one request, and for a minute.
 */
import type { Clock } from '../../base/clock.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import type { Identity } from '../../base/identity.ts'
import type { Log } from '../../base/log.ts'
import { isPassword, type PasswordHash, parseHash } from '../../base/password.ts'
import { localBytes, type PersonParams } from '../../wire/person.ts'
import { PinGuesses } from './pin-guesses.ts'

export type PersonErrorCode = 'unproven' | 'wrong' | 'wait' | 'forged'
export class PersonError extends CodedError<PersonErrorCode> {
  override readonly name = 'PersonError'
}

export interface Person {
  /** For the record: `Ada`, `local:root`, `gateway:Ada`, `claimed:Ada`. */
  readonly shown: string
  /** This device has checked it itself. */
  readonly proven: boolean
  /** A gateway says that they logged in there. */
  readonly vouched?: true
}

/** Whoever says that they are this. */
export function claimedBy({ by }: Pick<PersonParams, 'by'>): Person {
  return { shown: `claimed:${by || 'nobody'}`, proven: false }
}

export interface PeopleDeps {
  readonly clock: Clock
  readonly log: Log
  readonly identity: Pick<Identity, 'device' | 'verify'>
}

interface PeopleOptions {
  readonly people: readonly { readonly name: string; readonly pin: string }[]
  /** Where it is kept how often somebody was wrong. */
  readonly stateDir: string
}

const freshMs = 60_000
const seenMax = 1_000
const wrongMax = 5
const lockMs = 30_000
const lockMsMax = 3_600_000
/** PINs that wait to be looked at: each takes 50 ms. */
const checksMax = 16

interface Known {
  readonly name: string
  readonly pin: string
  readonly hash: PasswordHash
  /** Nothing: not read from the disk yet. */
  guesses?: {
    readonly wrong: number
    /** On the monotonic clock. */
    readonly lockedUntilMs: number
  }
}

export class People {
  readonly #deps: PeopleDeps
  readonly #known = new Map<string, Known>()
  /** Signatures that were used, as bytes in hex, and when: one has several texts in base64. */
  readonly #seen = new Map<string, number>()
  /** Since when signatures that were used are remembered. */
  readonly #since: { readonly atMs: number; readonly monotonicMs: number }
  readonly #guesses: PinGuesses
  #checks = 0
  #last: Promise<unknown> = Promise.resolve()

  /** `pin`: `scrypt$…`, as the configuration has checked. */
  constructor(deps: PeopleDeps, { people, stateDir }: PeopleOptions) {
    this.#deps = deps
    const unreadable = { wrong: wrongMax - 1, untilMs: 0 }
    this.#guesses = new PinGuesses(deps.log, { stateDir, people, unreadable })
    const { clock } = deps
    this.#since = { atMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
    for (const { name, pin } of people) {
      const hash = parseHash(pin)
      if (hash) this.#known.set(name, { name, pin, hash })
    }
  }

  get names(): readonly string[] {
    return [...this.#known.keys()]
  }

  /** Whoever asked for `what`. Throws PersonError where what they prove it with is wrong. */
  async whoIs({ by, pin, local, gateway }: PersonParams, what: readonly string[]): Promise<Person> {
    if (local) return this.#atDevice(by ?? '', local, what)
    if (pin !== undefined) return await this.#byPin(by ?? '', pin)
    if (gateway !== undefined) return { shown: `gateway:${gateway}`, proven: false, vouched: true }
    return claimedBy({ by })
  }

  /** Where this device, or the gateway, knows its people, one of them it must be. Throws PersonError `unproven`. */
  require({ proven }: Person, { prove = false }: Pick<PersonParams, 'prove'> = {}): void {
    if (proven || (this.#known.size === 0 && !prove)) return
    if (this.#known.size === 0)
      throw new PersonError('unproven', 'only a person of this household may: log in at the gateway as one')
    const names = this.names.join(', ')
    throw new PersonError('unproven', `only a person of this device may: ${names}, each with their PIN`)
  }

  /**
   * For a yes, `todo` is how it is given on the device itself: a name alone is not enough, also where nobody is known. Throws PersonError
   * `unproven`, and says what to do.
   */
  requireKnown(person: Person, { prove }: Pick<PersonParams, 'prove'>, todo: string): void {
    this.require(person, { prove })
    // Nobody has a PIN here: the gateway's word is what there is.
    if (person.proven || person.vouched) return
    throw new PersonError(
      'unproven',
      `a yes needs somebody whom this device knows: say "${todo}" on the device itself, or give yourself a PIN with "ganglion person NAME"`,
    )
  }

  #atDevice(by: string, { atMs, sig }: NonNullable<PersonParams['local']>, what: readonly string[]): Person {
    const { identity, clock } = this.#deps
    const nowMs = clock.nowMs()
    for (const [one, usedMs] of this.#seen) if (Math.abs(nowMs - usedMs) > freshMs) this.#seen.delete(one)
    const bytes = localBytes(identity.device, by, atMs, what)
    const signature = Buffer.from(sig, 'base64')
    const used = signature.toString('hex')
    const valid = identity.verify(identity.device, bytes, signature) === 'valid'
    // The key of another device: it proves nothing.
    if (!valid || by === '') return claimedBy({ by })
    if (
      Math.abs(nowMs - atMs) > freshMs ||
      this.#seen.has(used) ||
      this.#seen.size >= seenMax ||
      this.#isOlder(atMs)
    )
      throw new PersonError('forged', 'this was signed at another time: ask again')
    this.#seen.set(used, atMs)
    return { shown: `local:${by}`, proven: true }
  }

  /** Signed before the device was started: it may have been used then. Later than a minute after that it is stale by itself. */
  #isOlder(atMs: number): boolean {
    const runsMs = this.#deps.clock.monotonicMs() - this.#since.monotonicMs
    return runsMs <= freshMs && atMs < this.#since.atMs
  }

  async #byPin(by: string, pin: string): Promise<Person> {
    const known = this.#known.get(by)
    if (!known)
      throw new PersonError('wrong', `${by === '' ? 'nobody' : by} is no person of this device with a PIN`)
    if (this.#checks >= checksMax) throw new PersonError('wait', 'too many PINs are being looked at')
    this.#checks += 1
    // One after the other: a lock that a wrong one brings holds for the next.
    const turn = this.#last.then(() => this.#check(known, pin))
    this.#last = turn.catch(() => {})
    try {
      await turn
    } finally {
      this.#checks -= 1
    }
    return { shown: by, proven: true }
  }

  async #check(known: Known, pin: string): Promise<void> {
    const { clock } = this.#deps
    const { name } = known
    const { wrong, lockedUntilMs } = this.#guessesOf(known)
    const leftMs = lockedUntilMs - clock.monotonicMs()
    if (leftMs > 0)
      throw new PersonError(
        'wait',
        `too many wrong PINs for ${name}: try again in ${Math.ceil(leftMs / 1_000)} s`,
      )
    await this.#count(known, wrong + 1).catch((error) => {
      const reason = `it cannot be kept that one was shown (${messageOf(error)})`
      throw new PersonError('wait', `no PIN can be looked at: ${reason}`, { cause: error })
    })
    if (!(await isPassword(Buffer.from(pin), known.hash)))
      throw new PersonError('wrong', `that is not the PIN of ${name}`)
    // Where the disk does not take it, it is one guess less after a restart.
    await this.#count(known, 0).catch((error) =>
      this.#deps.log.error('a right PIN could not be kept', { reason: messageOf(error) }),
    )
  }

  #guessesOf(known: Known): NonNullable<Known['guesses']> {
    if (known.guesses) return known.guesses
    const { clock } = this.#deps
    const { wrong, untilMs } = this.#guesses.of(known.name, known.pin)
    // A clock that was set back makes none longer than it was.
    const leftMs = Math.min(untilMs - clock.nowMs(), lockedMs(wrong))
    known.guesses = { wrong, lockedUntilMs: clock.monotonicMs() + leftMs }
    return known.guesses
  }

  /** It holds at once, and is on the disk when this settles. */
  async #count(known: Known, wrong: number): Promise<void> {
    const { clock } = this.#deps
    const forMs = lockedMs(wrong)
    known.guesses = { wrong, lockedUntilMs: clock.monotonicMs() + forMs }
    await this.#guesses.keep(known.name, known.pin, { wrong, untilMs: clock.nowMs() + forMs })
  }
}

/** How long a name is refused after so many wrong PINs in a row. */
function lockedMs(wrong: number): number {
  const over = wrong - wrongMax
  return over < 0 ? 0 : Math.min(lockMs * 2 ** over, lockMsMax)
}
