/**
 * User names and passwords of MQTT clients. A password is kept as `scrypt$N$r$p$salt$hash` (base64url) or, from a secret
 * file or the environment, as plain text; comparison takes the same time whatever is wrong, also for an unknown name.
 */
import { randomBytes } from 'node:crypto'
import { hashPassword, isPassword, type PasswordHash, parseHash } from '../../runtime/base/password.ts'

export interface Credential {
  readonly username: string
  /** `scrypt$…`, or the plain password. */
  readonly password: string
  /** Another gateway, or a worker of one: it may offer inference and read what devices ask of it. */
  readonly gateway?: boolean
}

/** Checks names and passwords. Each check costs about 50 ms of one thread-pool thread; they run one after another. */
export class CredentialCheck {
  readonly #hashes: Map<string, PasswordHash>
  readonly #decoy: PasswordHash
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  private constructor(hashes: Map<string, PasswordHash>, decoy: PasswordHash) {
    this.#hashes = hashes
    this.#decoy = decoy
  }

  static async open(credentials: readonly Credential[]): Promise<CredentialCheck> {
    const hashes = new Map<string, PasswordHash>()
    for (const { username, password } of credentials) {
      const hash = parseHash(password) ?? parseHash(await hashPassword(password))
      if (hash) hashes.set(username, hash)
    }
    const decoy = parseHash(await hashPassword(randomBytes(16).toString('hex'))) as PasswordHash
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
    return (await isPassword(password, hash)) && known !== undefined
  }
}
