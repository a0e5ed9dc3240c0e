/**
 * The token that a person needs to arm a device or to clear a fault. Shown once when made; the safety directory keeps a
 * salted scrypt hash (RFC 7914) alone.
 *
 * Invariants: [safety-6] compared in constant time, one attempt at a time; after 5 wrong ones within a minute every
 * attempt is refused for a minute, the right one too.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import type { HostClock } from '../contract/host.ts'
import { writeDurably } from './durable-file.ts'

/** 16 MiB and some 50 ms on a Raspberry Pi 4: dear to guess, cheap to check. */
const cost = { N: 16_384, r: 8, p: 1 }
const hashBytes = 32
/** Crockford's base 32: no letter that reads like a digit. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const digits = 20
const wrongMax = 5
const windowMs = 60_000

const fileOf = (safetyDir: string) => join(safetyDir, 'token.json')

export const tokenExists = (safetyDir: string) => existsSync(fileOf(safetyDir))

/** Makes the token and returns it, this once. Throws HalError `busy` when there is one. */
export async function createToken(safetyDir: string): Promise<string> {
  if (tokenExists(safetyDir))
    throw new HalError(
      'busy',
      `a safety token was made before and is shown once only: delete ${fileOf(safetyDir)} to make another`,
    )
  const token = [...randomBytes(digits)].map((byte) => alphabet[byte % 32]).join('')
  const salt = randomBytes(16)
  const hash = await hashOf(token, salt, cost)
  const stored = { version: 1, ...cost, salt: salt.toString('hex'), hash: hash.toString('hex') }
  await writeDurably(fileOf(safetyDir), `${JSON.stringify(stored)}\n`)
  return (token.match(/.{4}/g) ?? []).join('-')
}

/** As a person may type it: lower case, without or with other separators, O for 0, I or L for 1. */
const normalised = (token: string) =>
  token.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1')

function hashOf(token: string, salt: Buffer, { N, r, p }: typeof cost): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    scrypt(token, salt, hashBytes, { N, r, p, maxmem: 64 * 1024 * 1024 }, (error, key) =>
      error ? reject(error) : resolve(key),
    ),
  )
}

/** Checks tokens for as long as the device runs. */
export class TokenGate {
  readonly #dir: string
  readonly #clock: HostClock
  readonly #wrongAtMs: number[] = []
  #refusedUntilMs = Number.NEGATIVE_INFINITY
  #checking = false

  constructor(safetyDir: string, clock: HostClock) {
    this.#dir = safetyDir
    this.#clock = clock
  }

  /** Resolves when it is the token. Throws HalError `permission` with what to do, `busy` while another is checked. */
  async check(token: string | undefined): Promise<void> {
    const waitMs = this.#refusedUntilMs - this.#clock.monotonicMs()
    if (waitMs > 0)
      throw new HalError('permission', `too many wrong tokens: try again in ${Math.ceil(waitMs / 1000)} s`)
    if (token === undefined || token === '') throw new HalError('permission', 'this needs the safety token')
    if (this.#checking) throw new HalError('busy', 'another token is being checked: try again')
    this.#checking = true
    try {
      if (await this.#isRight(token)) return
    } finally {
      this.#checking = false
    }
    this.#countWrong()
    throw new HalError('permission', 'that is not the safety token')
  }

  async #isRight(token: string): Promise<boolean> {
    const { N, r, p, salt, hash } = await this.#stored()
    const expected = Buffer.from(hash, 'hex')
    const given = await hashOf(normalised(token), Buffer.from(salt, 'hex'), { N, r, p })
    return expected.length === given.length && timingSafeEqual(expected, given)
  }

  async #stored(): Promise<typeof cost & { salt: string; hash: string }> {
    try {
      const stored = JSON.parse(await readFile(fileOf(this.#dir), 'utf8'))
      if (typeof stored?.salt === 'string' && typeof stored.hash === 'string') return stored
      throw new Error('it holds no hash')
    } catch (error) {
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
      const why = absent
        ? 'no safety token was made yet: make one with "ganglion safety token"'
        : `${fileOf(this.#dir)} cannot be read: delete it and make a token with "ganglion safety token"`
      throw new HalError('permission', why, { cause: error })
    }
  }

  #countWrong(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#wrongAtMs.push(nowMs)
    while ((this.#wrongAtMs[0] ?? nowMs) <= nowMs - windowMs) this.#wrongAtMs.shift()
    if (this.#wrongAtMs.length < wrongMax) return
    this.#wrongAtMs.length = 0
    this.#refusedUntilMs = nowMs + windowMs
  }
}
