/** What can go wrong on the link, as a closed set of codes. Callers branch on `code`. */
import { CodedError } from '../base/errors.ts'

export type LinkErrorCode =
  /** The link's own options make no sense: a wrong URL, a certificate that cannot be read. */
  | 'config'
  /** The disk refused: not writable, full, broken, or held by another process. */
  | 'storage'
  /** No room for this event, and nothing of lower worth to drop for it. */
  | 'outbox-full'
  /** One message, or all retained topics together, over their limit. */
  | 'too-large'
  /** Used after disposal. */
  | 'closed'
  /** The connection ended before the broker acknowledged. */
  | 'disconnected'
  /** The broker answered with a refusal. */
  | 'refused'

const retryableCodes: ReadonlySet<LinkErrorCode> = new Set(['storage', 'outbox-full', 'disconnected'])

export class LinkError extends CodedError<LinkErrorCode> {
  override readonly name = 'LinkError'
  constructor(code: LinkErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(code, message, { ...options, retryable: retryableCodes.has(code) })
  }
}
