/** What can be wrong with an agent's files or its bundle, and how large they may be. */
import { CodedError } from '../../base/errors.ts'
import { wireLimits } from '../../wire/limits.ts'

/**
 * `source`: its files; `manifest`: what it says of itself; `malformed`: no bundle at all; `version`: a bundle of another format;
 * `foreign`: signed by someone who is not believed here; `tampered`: not as it was signed.
 */
export type BundleErrorCode =
  | 'source'
  | 'manifest'
  | 'too-large'
  | 'malformed'
  | 'version'
  | 'foreign'
  | 'tampered'

export class BundleError extends CodedError<BundleErrorCode> {
  override readonly name = 'BundleError'
}

export const bundleLimits = {
  /** Larger than any agent that a person reads; small enough for a few hundred on an SD card. */
  sourceBytesMax: 256 * 1024,
  modulesMax: 64,
  /** As text, with the manifest: JSON writes some bytes as six. */
  bundleBytesMax: wireLimits.bundleBytesMax,
  wantsMax: 64,
} as const
