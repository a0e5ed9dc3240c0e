/**
 * Who asks: what a name is worth.
 *
 * Invariants: [people-1] a name that nothing proves is recorded as `claimed:NAME`, never as the name; [people-2] after a few wrong PINs
 * in a row a name is refused for a while that doubles, whatever PIN comes; [people-3] what somebody at the device has signed is good
 * for that one request, and for a minute.
 */
import type { Clock } from '../../base/clock.ts'
import { CodedError } from '../../base/errors.ts'
import type { Identity } from '../../base/identity.ts'
import { isPassword, type PasswordHash, parseHash } from '../../base/password.ts'
import { localBytes, type PersonParams } from '../../wire/person.ts'

export type PersonErrorCode = 'unproven' | 'wrong' | 'wait' | 'forged'
export class PersonError extends CodedError<PersonErrorCode> {
  override readonly name = 'PersonError'
}

export interface Person {
  /** For the record: `Ada`, `local:root`, `gateway:Ada`, `claimed:Ada`. */
  readonly shown: string
  readonly proven: boolean
}

export interface PeopleDeps {
  readonly clock: Clock
  readonly identity: Pick<Identity, 'device' | 'verify'>
}

const freshMs = 60_000
const seenMax = 1_000
const wrongMax = 5
const lockMs = 30_000
const lockMsMax = 3_600_000
/** PINs that wait to be looked at: each takes 50 ms. */
const checksMax = 16

interface Known {
  readonly hash: PasswordHash
  wrong: number
  /** On the monotonic clock. */
  lockedUntilMs: number
}

export class People {
  readonly #deps: PeopleDeps
  readonly #known = new Map<string, Known>()
  /** Signatures that were used, and when. */
  readonly #seen = new Map<string, number>()
  #checks = 0
  #last: Promise<unknown> = Promise.resolve()

  /** `pin`: `scrypt$…`, as the configuration has checked. */
  constructor(deps: PeopleDeps, people: readonly { readonly name: string; readonly pin: string }[]) {
    this.#deps = deps
    for (const { name, pin } of people) {
      const hash = parseHash(pin)
      if (hash) this.#known.set(name, { hash, wrong: 0, lockedUntilMs: Number.NEGATIVE_INFINITY })
    }
  }

  get names(): readonly string[] {
    return [...this.#known.keys()]
  }

  /** Whoever asked for `what`. Throws PersonError where what they prove it with is wrong. */
  async whoIs({ by, pin, local, gateway }: PersonParams, what: readonly string[]): Promise<Person> {
    if (local) return this.#atDevice(by ?? '', local, what)
    if (pin !== undefined) return await this.#byPin(by ?? '', pin)
    if (gateway !== undefined) return { shown: `gateway:${gateway}`, proven: false }
    return { shown: `claimed:${by ?? 'nobody'}`, proven: false }
  }

  /** Where this device knows its people, one of them it must be. Throws PersonError `unproven`. */
  require({ proven }: Person): void {
    if (proven || this.#known.size === 0) return
    const names = this.names.join(', ')
    throw new PersonError('unproven', `only a person of this device may: ${names}, each with their PIN`)
  }

  #atDevice(by: string, { atMs, sig }: NonNullable<PersonParams['local']>, what: readonly string[]): Person {
    const { identity, clock } = this.#deps
    const nowMs = clock.nowMs()
    for (const [used, usedMs] of this.#seen) if (Math.abs(nowMs - usedMs) > freshMs) this.#seen.delete(used)
    const bytes = localBytes(identity.device, by, atMs, what)
    const valid = identity.verify(identity.device, bytes, Buffer.from(sig, 'base64')) === 'valid'
    // The key of another device: it proves nothing.
    if (!valid || by === '') return { shown: `claimed:${by === '' ? 'nobody' : by}`, proven: false }
    if (Math.abs(nowMs - atMs) > freshMs || this.#seen.has(sig) || this.#seen.size >= seenMax)
      throw new PersonError('forged', 'this was signed at another time: ask again')
    this.#seen.set(sig, atMs)
    return { shown: `local:${by}`, proven: true }
  }

  async #byPin(by: string, pin: string): Promise<Person> {
    const known = this.#known.get(by)
    if (!known)
      throw new PersonError('wrong', `${by === '' ? 'nobody' : by} is no person of this device with a PIN`)
    if (this.#checks >= checksMax) throw new PersonError('wait', 'too many PINs are being looked at')
    this.#checks += 1
    // One after the other: a lock that a wrong one brings holds for the next.
    const turn = this.#last.then(() => this.#check(by, known, pin))
    this.#last = turn.catch(() => {})
    try {
      await turn
    } finally {
      this.#checks -= 1
    }
    return { shown: by, proven: true }
  }

  async #check(by: string, known: Known, pin: string): Promise<void> {
    const { clock } = this.#deps
    const leftMs = known.lockedUntilMs - clock.monotonicMs()
    if (leftMs > 0)
      throw new PersonError(
        'wait',
        `too many wrong PINs for ${by}: try again in ${Math.ceil(leftMs / 1_000)} s`,
      )
    if (await isPassword(Buffer.from(pin), known.hash)) {
      known.wrong = 0
      return
    }
    known.wrong += 1
    const over = known.wrong - wrongMax
    if (over >= 0) known.lockedUntilMs = clock.monotonicMs() + Math.min(lockMs * 2 ** over, lockMsMax)
    throw new PersonError('wrong', `that is not the PIN of ${by}`)
  }
}
