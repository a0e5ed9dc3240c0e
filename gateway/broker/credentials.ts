/**
 * User names and passwords of MQTT clients. A password is kept as `scrypt$N$r$p$salt$hash` (base64url) or, from a secret
 * file or the environment, as plain text; comparison takes the same time whatever is wrong, also for an unknown name.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

export interface Credential {
  readonly username: string
  /** `scrypt$…`, or the plain password. */
  readonly password: string
  /** Another gateway, or a worker of one: it may offer inference and read what devices ask of it. */
  readonly gateway?: boolean
}

interface Hash {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  readonly salt: Buffer
  readonly hash: Buffer
}

const defaultCost = { cost: 16_384, blockSize: 8, parallelization: 1 }
const hashBytes = 32
const hashPattern = /^scrypt\$(\d{1,6})\$(\d{1,2})\$(\d{1,2})\$([\w-]{8,})\$([\w-]{8,})$/

function derive(password: Buffer, with_: Omit<Hash, 'hash'>): Promise<Buffer> {
  const options = {
    N: with_.cost,
    r: with_.blockSize,
    p: with_.parallelization,
    maxmem: 256 * with_.cost * with_.blockSize,
  }
  return new Promise((resolve, reject) =>
    scrypt(password, with_.salt, hashBytes, options, (error, key) => (error ? reject(error) : resolve(key))),
  )
}

/** What to put in the configuration for a password. */
export async function hashPassword(password: string): Promise<string> {
  const with_ = { ...defaultCost, salt: randomBytes(16) }
  const hash = await derive(Buffer.from(password), with_)
  const { cost, blockSize, parallelization, salt } = with_
  return `scrypt$${cost}$${blockSize}$${parallelization}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

/** The parts of a stored hash; undefined when the text is not one. */
export function parseHash(text: string): Hash | undefined {
  const match = hashPattern.exec(text)
  if (!match) return undefined
  const [, cost, blockSize, parallelization, salt, hash] = match as unknown as string[]
  return {
    cost: Number(cost),
    blockSize: Number(blockSize),
    parallelization: Number(parallelization),
    salt: Buffer.from(salt as string, 'base64url'),
    hash: Buffer.from(hash as string, 'base64url'),
  }
}

/** Checks names and passwords. Each check costs about 50 ms of one thread-pool thread; they run one after another. */
export class CredentialCheck {
  readonly #hashes: Map<string, Hash>
  readonly #decoy: Hash
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  private constructor(hashes: Map<string, Hash>, decoy: Hash) {
    this.#hashes = hashes
    this.#decoy = decoy
  }

  static async open(credentials: readonly Credential[]): Promise<CredentialCheck> {
    const hashes = new Map<string, Hash>()
    for (const { username, password } of credentials) {
      const hash = parseHash(password) ?? parseHash(await hashPassword(password))
      if (hash) hashes.set(username, hash)
    }
    const decoy = parseHash(await hashPassword(randomBytes(16).toString('hex'))) as Hash
    return new CredentialCheck(hashes, decoy)
  }

  /** False also when too many checks are waiting: a flood of log-ins may not take the machine. */
  async check(username: string, password: Buffer): Promise<boolean> {
    if (this.#waiting >= 32) return false
    this.#waiting += 1
    const turn = this.#last.then(() => this.#compare(username, password))
    this.#last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      this.#waiting -= 1
    }
  }

  async #compare(username: string, password: Buffer): Promise<boolean> {
    const known = this.#hashes.get(username)
    const hash = known ?? this.#decoy
    const derived = await derive(password, hash)
    return hash.hash.length === derived.length && timingSafeEqual(hash.hash, derived) && known !== undefined
  }
}
