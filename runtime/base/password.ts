/** Passwords and PINs as a configuration keeps them: `scrypt$N$r$p$salt$hash` (base64url), RFC 7914. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

export interface PasswordHash {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  readonly salt: Buffer
  readonly hash: Buffer
}

const defaultCost = { cost: 16_384, blockSize: 8, parallelization: 1 }
const hashBytes = 32
const hashPattern = /^scrypt\$(\d{1,6})\$(\d{1,2})\$(\d{1,2})\$([\w-]{8,})\$([\w-]{8,})$/

function derive(password: Buffer, with_: Omit<PasswordHash, 'hash'>): Promise<Buffer> {
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
export function parseHash(text: string): PasswordHash | undefined {
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

/** Takes about 50 ms of one thread-pool thread, whatever is wrong. */
export async function isPassword(password: Buffer, hash: PasswordHash): Promise<boolean> {
  const derived = await derive(password, hash)
  return hash.hash.length === derived.length && timingSafeEqual(hash.hash, derived)
}
