/**
 * Who this device is: an Ed25519 key (RFC 8032) made at its first start and kept for this user's eyes only, and the public keys of the
 * devices that it was told to believe.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { writeDurablySync } from './durable-file.ts'
import { makeDirectory } from './state-dir.ts'

export type Verdict = 'valid' | 'forged' | 'unknown'

export class Identity {
  readonly device: string
  readonly #private: KeyObject
  readonly #known = new Map<string, KeyObject>()

  private constructor(device: string, privateKey: KeyObject) {
    this.device = device
    this.#private = privateKey
    this.#known.set(device, createPublicKey(privateKey))
  }

  /** Reads `<stateDir>/identity.key`, or makes it. Throws where it cannot be read or written. */
  static open(device: string, stateDir: string): Identity {
    const path = join(stateDir, 'identity.key')
    if (existsSync(path)) return new Identity(device, createPrivateKey(readFileSync(path)))
    const { privateKey } = generateKeyPairSync('ed25519')
    makeDirectory(dirname(path))
    writeDurablySync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    return new Identity(device, privateKey)
  }

  /** For those who are to believe this device: the raw key in base64url, 43 characters. */
  get publicKey(): string {
    const { x } = createPublicKey(this.#private).export({ format: 'jwk' })
    return String(x)
  }

  /** Believes `device` from now on under this key. False where it is known under another, which stays. */
  trust(device: string, publicKey: string): boolean {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
    const known = this.#known.get(device)
    if (known) return known.equals(key)
    this.#known.set(device, key)
    return true
  }

  get trusted(): readonly string[] {
    return [...this.#known.keys()]
  }

  sign(bytes: Uint8Array): Buffer {
    return sign(null, bytes, this.#private)
  }

  verify(device: string, bytes: Uint8Array, signature: Uint8Array): Verdict {
    const key = this.#known.get(device)
    if (!key) return 'unknown'
    return verify(null, bytes, key, signature) ? 'valid' : 'forged'
  }
}
