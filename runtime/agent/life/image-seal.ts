/**
 * Seals images of machines: an image is code, so only one that this site made, of the same program, for the same engine, is ever
 * run. The guest is in the image: a machine goes on with the one that it began with.
 *
 * Format: a line of JSON `{v, engine, program, sha256, take, drain, device}`, a line with its Ed25519 signature (RFC 8032) in base64, then the image
 * as zstd (RFC 8878). The signed line holds the digest of what follows.
 */
import * as v from 'valibot'
import { CodedError } from '../../base/errors.ts'
import type { Identity } from '../../base/identity.ts'
import { sha256 } from '../../base/sha256.ts'
import type { PackedImage } from '../vm/machine-pool.ts'

export type SealErrorCode = 'malformed' | 'foreign' | 'tampered' | 'other-engine' | 'other-program'
export class SealError extends CodedError<SealErrorCode> {
  override readonly name = 'SealError'
}

const header = v.object({
  v: v.literal(1),
  engine: v.string(),
  program: v.string(),
  sha256: v.string(),
  take: v.number(),
  drain: v.number(),
  device: v.string(),
})

export interface SealOptions {
  /** SHA-256 of the WebAssembly module: an image runs on no other. */
  readonly engine: string
  readonly identity: Identity
}

const newline = 0x0a

export class ImageSeal {
  readonly #options: SealOptions

  constructor(options: SealOptions) {
    this.#options = options
  }

  close({ bytes, sha256, take, drain }: PackedImage, program: string): Uint8Array {
    const { engine, identity } = this.#options
    const line = JSON.stringify({ v: 1, engine, program, sha256, take, drain, device: identity.device })
    const signature = identity.sign(Buffer.from(line)).toString('base64')
    return Buffer.concat([Buffer.from(`${line}\n${signature}\n`), bytes])
  }

  /** Throws SealError. */
  async open(sealed: Uint8Array, program: string): Promise<PackedImage> {
    const whole = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
    const first = whole.indexOf(newline)
    const second = whole.indexOf(newline, first + 1)
    if (first < 0 || second < 0) throw new SealError('malformed', 'this is no image of an agent')
    const line = whole.subarray(0, first)
    const parsed = v.safeParse(header, parseOrUndefined(line.toString()))
    if (!parsed.success) throw new SealError('malformed', 'the image has no header that this version reads')
    const { engine, sha256: signed, take, drain, device, program: of } = parsed.output
    const signature = Buffer.from(whole.subarray(first + 1, second).toString(), 'base64')
    const known = this.#options.identity.verify(device, line, signature)
    if (known === 'unknown')
      throw new SealError('foreign', `the image was made by ${device}, whom nobody here knows`)
    if (known !== 'valid') throw new SealError('tampered', `the image is not as ${device} signed it`)
    const bytes = whole.subarray(second + 1)
    if ((await sha256(bytes)) !== signed) throw new SealError('tampered', 'the image is not as it was signed')
    if (engine !== this.#options.engine)
      throw new SealError(
        'other-engine',
        `the image was made by another version of the machine (${short(engine)}, here is ${short(this.#options.engine)}): go back to that version, or run the agent anew`,
      )
    if (of !== program) throw new SealError('other-program', 'the image is of another program')
    return { bytes, sha256: signed, take, drain }
  }
}

const short = (hash: string) => hash.slice(0, 12)

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
