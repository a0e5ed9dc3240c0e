/** What can go wrong between a model's manifest and its files on this disk: one line each, with what to do. */
import { CodedError, messageOf } from '../../base/errors.ts'

export type StoreErrorCode =
  /** Size or SHA-256 differs from the manifest: refused, nothing kept. */
  | 'digest'
  /** The source did not answer, or broke off. */
  | 'source-unreachable'
  /** No such model, or its source does not have the file. */
  | 'not-found'
  /** This disk cannot take the files. */
  | 'disk'
  /** A manifest or an archive that breaks its format. */
  | 'malformed'
  | 'cancelled'

export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError'
}

const diskCodes = new Set([
  'ENOSPC',
  'EDQUOT',
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'EIO',
  'EMFILE',
])

/** The system's error code of anything thrown, also of a wrapped cause. */
export function systemCodeOf(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code
  }
  return undefined
}

/** Turns a file system error under `dir` into `disk`; anything else stays as it is. */
export function diskError(error: unknown, dir: string): unknown {
  const code = error instanceof StoreError ? undefined : systemCodeOf(error)
  if (code === undefined || !diskCodes.has(code)) return error
  const remedy =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'free some space there, or set GANGLION_MODELS_DIR to another folder'
      : 'make it writable, or set GANGLION_MODELS_DIR to another folder'
  return new StoreError('disk', `models cannot be written to ${dir} (${code}): ${remedy}`, { cause: error })
}

/** The error for an aborted fetch. A StoreError given as the signal's reason is passed on. */
export function cancelledError(model: string, signal: AbortSignal): StoreError {
  if (signal.reason instanceof StoreError) return signal.reason
  return new StoreError('cancelled', `fetching ${model} was cancelled; run it again to go on`, {
    cause: signal.reason,
  })
}

/** A message without credentials that a URL may carry. */
export function redacted(error: unknown): string {
  return messageOf(error)
    .replace(/\/\/[^/@\s]*@/g, '//')
    .replace(/\?\S*/g, '')
    .slice(0, 300)
}
