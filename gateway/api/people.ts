/**
 * The people of this household whom the gateway knows by name, each by a token of their own: so that an answer to what an agent asks
 * has a name that is more than a claim. Comparison takes the same time whichever token is wrong, and how often somebody may be wrong
 * is limited by address.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../runtime/base/clock.ts'
import { isPassword, type PasswordHash, parseHash } from '../../runtime/base/password.ts'
import { ApiError } from './api-error.ts'

export interface Person {
  readonly name: string
  /** May answer what agents ask. */
  readonly answers: boolean
}

export interface PersonSecret extends Person {
  /** `scrypt$…`, or the plain token of a secret file. */
  readonly token: string
}

/** Wrong tokens that one address may show at once, and after how long one of them is forgotten. */
const wrongMax = 20
const forgottenMs = 3_000
/** Addresses that are remembered for having been wrong: more than a household has. */
const addressesMax = 256
/** Tokens against a hash: each takes 50 ms of a thread. More that wait are refused. */
const waitingMax = 8

interface Known {
  readonly person: Person
  readonly digest?: Buffer
  readonly hash?: PasswordHash
}

const digestOf = (text: string) => createHash('sha256').update(text).digest()

export class People {
  readonly #clock: Clock
  readonly #known: readonly Known[]
  readonly #wrong = new Map<string, { count: number; atMs: number }>()
  /** Digests of tokens that were held against their hash once: a page asks often. */
  readonly #right = new Map<string, Person>()
  #waiting = 0

  constructor(clock: Clock, people: readonly PersonSecret[]) {
    this.#clock = clock
    this.#known = people.map(({ token, ...person }) => {
      const hash = parseHash(token)
      return hash ? { person, hash } : { person, digest: digestOf(token) }
    })
  }

  /** Whether anybody is known by name. */
  get some(): boolean {
    return this.#known.length > 0
  }

  named(name: string): Person | undefined {
    return this.#known.find(({ person }) => person.name === name)?.person
  }

  /** Whose token it is. Throws ApiError `busy` where too many wait to be told. */
  async whose(token: string): Promise<Person | undefined> {
    const digest = digestOf(token)
    const right = this.#right.get(digest.toString('base64'))
    if (right) return right
    let found: Person | undefined
    for (const known of this.#known)
      if (known.digest && timingSafeEqual(known.digest, digest)) found = known.person
    const hashed = this.#known.flatMap(({ hash, person }) => (hash ? [{ hash, person }] : []))
    if (hashed.length === 0) return found
    if (this.#waiting >= waitingMax) throw new ApiError('busy', 'too many log in at once: try again')
    this.#waiting += 1
    try {
      for (const { hash, person } of hashed) if (await isPassword(Buffer.from(token), hash)) found = person
    } finally {
      this.#waiting -= 1
    }
    // No more than there are people: each has one token.
    if (found) this.#right.set(digest.toString('base64'), found)
    return found
  }

  /** Throws ApiError `busy` for an address that was wrong too often. */
  refuseGuessing(address: string): void {
    if (this.#wrongBy(address) >= wrongMax)
      throw new ApiError('busy', 'too many wrong tokens came from this address: try again in a minute')
  }

  wrong(address: string): void {
    const count = this.#wrongBy(address) + 1
    this.#wrong.delete(address)
    this.#wrong.set(address, { count, atMs: this.#clock.monotonicMs() })
    const [oldest] = this.#wrong.keys()
    if (this.#wrong.size > addressesMax && oldest !== undefined) this.#wrong.delete(oldest)
  }

  #wrongBy(address: string): number {
    const before = this.#wrong.get(address)
    if (!before) return 0
    const forgotten = (this.#clock.monotonicMs() - before.atMs) / forgottenMs
    return Math.max(0, before.count - forgotten)
  }
}
