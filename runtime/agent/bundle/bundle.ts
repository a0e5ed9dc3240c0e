/**
 * A bundle: what an agent is, in one text that is the same on every processor. Two lines of canonical JSON:
 *
 *     {"entry":"./night-watch.ts","manifest":{…},"modules":{"./night-watch.ts":"…"},"v":1}
 *     {"by":"hub","sha256":"<of the first line, hex>","signature":"<Ed25519 over `ganglion bundle 1 <sha256>`, base64>"}
 *
 * The first line is its content, made wherever a person wrote the agent; the digest of it is the name of the program. The second
 * line is the device's word that a person installed it there. Ed25519 (RFC 8032) signs the same text the same way each time.
 *
 * Invariants: [bundle-1] a program is files of one folder and imports nothing else; [bundle-2] equal files make equal bytes;
 * [bundle-3] what was changed by one bit, or signed by someone who is not believed here, is not run; [bundle-4] the manifest in a
 * bundle is what its program says when it is loaded.
 */
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import type { Identity } from '../../base/identity.ts'
import type { Json } from '../contract.ts'
import type { MachinePool, Program } from '../vm/machine-pool.ts'
import { BundleError, bundleLimits } from './bundle-error.ts'
import { canonicalJson } from './canonical.ts'
import { checkManifest, type Manifest, readManifest } from './manifest.ts'

/** What a person wrote, not signed by anybody. */
export interface Content {
  readonly manifest: Manifest
  readonly program: Program
  /** The first line, without its end. */
  readonly text: string
  /** SHA-256 of `text`, hex. */
  readonly hash: string
}

export interface Bundle extends Omit<Content, 'text'> {
  readonly name: string
  /** Device that vouches for it. */
  readonly by: string
  /** Base64. */
  readonly signature: string
  readonly bytes: Uint8Array
}

const moduleName = v.pipe(
  v.string(),
  v.maxLength(256),
  v.regex(/^\.(?:\/(?!\.\.?(?:\/|$))[^/\\\p{Cc}]+)+$/u, 'is no name of a module'),
)
const content = v.strictObject({
  v: v.literal(1),
  entry: moduleName,
  manifest: v.unknown(),
  modules: v.pipe(
    v.record(moduleName, v.string()),
    v.check((modules) => Object.keys(modules).length <= bundleLimits.modulesMax, 'has too many modules'),
  ),
})
const seal = v.strictObject({
  by: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  signature: v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]{86}==$/)),
})

/** Content of a program, whose manifest is read by loading it. Throws BundleError; MachineLost. */
export async function contentOf(pool: MachinePool, program: Program): Promise<Content> {
  const manifest = await readManifest(pool, program)
  const { entry, modules } = program
  const text = canonicalJson({ v: 1, entry, manifest: manifest as unknown as Json, modules })
  if (Buffer.byteLength(text) > bundleLimits.bundleBytesMax) throw tooLarge()
  return { manifest, program, text, hash: sha256(text) }
}

/** Content that came from elsewhere: the program is loaded to see that it is what its manifest says [bundle-4]. Throws BundleError. */
export async function readContent(pool: MachinePool, text: string): Promise<Content> {
  const read = parsedContent(text)
  const again = await contentOf(pool, read.program)
  if (again.text === text) return again
  throw new BundleError('tampered', 'the bundle says something else of its agent than the agent itself')
}

/** The device's word for it. */
export function sealed({ text, hash, manifest, program }: Content, identity: Identity): Bundle {
  const signature = identity.sign(signedText(hash)).toString('base64')
  const line = canonicalJson({ by: identity.device, sha256: hash, signature })
  const bytes = Buffer.from(`${text}\n${line}\n`)
  return { name: manifest.name, manifest, program, hash, by: identity.device, signature, bytes }
}

/** Throws BundleError `too-large`, `malformed`, `version`, `foreign`, `tampered`: one line each. */
export function openBundle(bytes: Uint8Array, identity: Identity): Bundle {
  if (bytes.byteLength > bundleLimits.bundleBytesMax + sealBytesMax) throw tooLarge()
  const [text = '', last = '', end, ...more] = textOf(bytes).split('\n')
  if (end !== '' || more.length > 0) throw new BundleError('malformed', 'this is no bundle of an agent')
  const said = v.safeParse(seal, parsedJson(last))
  // A later version may seal differently: that it is one is the better thing to say.
  const { manifest, program } = parsedContent(text)
  if (!said.success) throw new BundleError('malformed', 'the bundle carries no signature')
  const { by, sha256: digest, signature } = said.output
  const verdict = identity.verify(by, signedText(digest), Buffer.from(signature, 'base64'))
  if (verdict === 'unknown')
    throw new BundleError(
      'foreign',
      `the bundle of ${manifest.name} was signed by ${by}, whom nobody here knows`,
    )
  if (verdict === 'forged')
    throw new BundleError('tampered', `the bundle was not signed by ${by}, as it says`)
  if (digest !== sha256(text)) throw new BundleError('tampered', `the bundle is not as ${by} signed it`)
  return { name: manifest.name, manifest, program, hash: digest, by, signature, bytes }
}

/** The same bundle with this device's word for it instead of another's. Throws as `openBundle` does. */
export function adopted(bytes: Uint8Array, identity: Identity): Bundle {
  const { manifest, program, hash } = openBundle(bytes, identity)
  const [text = ''] = textOf(bytes).split('\n')
  return sealed({ text, hash, manifest, program }, identity)
}

/** The second line is far below this. */
const sealBytesMax = 1024

/** What a text says it is, which nobody has looked at yet. Throws BundleError. */
export function parsedContent(text: string): Pick<Content, 'manifest' | 'program'> {
  if (Buffer.byteLength(text) > bundleLimits.bundleBytesMax) throw tooLarge()
  const value = parsedJson(text)
  const version = (value as { v?: unknown } | null | undefined)?.v
  if (typeof version === 'number' && version !== 1)
    throw new BundleError(
      'version',
      `the bundle is of version ${version}, this device reads version 1: update the device`,
    )
  const parsed = v.safeParse(content, value)
  if (!parsed.success) throw new BundleError('malformed', 'this is no bundle of an agent')
  const { entry, modules, manifest } = parsed.output
  if (!Object.hasOwn(modules, entry))
    throw new BundleError('malformed', `the bundle has no ${entry}, its own first file`)
  return { manifest: checkManifest(manifest), program: { entry, modules } }
}

const signedText = (digest: string) => Buffer.from(`ganglion bundle 1 ${digest}`)
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const tooLarge = () =>
  new BundleError(
    'too-large',
    `a bundle has at most ${bundleLimits.bundleBytesMax} bytes: make the agent smaller`,
  )

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new BundleError('malformed', 'this is no bundle of an agent: it is no text', { cause: error })
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
