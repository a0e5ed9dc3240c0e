/**
 * One idiom for operating errors: `class XError extends CodedError<XCode>` with a closed set of codes per layer.
 * Callers branch on `code`. `message` is one line for a person; a programmer's mistake is a plain Error and crashes.
 */

export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code
  /** True where trying the same again can help. */
  readonly retryable: boolean

  constructor(code: Code, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** A mistake of the person at the keyboard: shown as one line, exit code 2, never with a stack. */
export class UsageError extends CodedError<'usage'> {
  override readonly name = 'UsageError'
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('usage', message, options)
  }
}

/** The message of anything thrown, on one line. Never throws itself. */
export function messageOf(error: unknown): string {
  return textOf(error).replace(/\s*[\n\r]\s*/g, ' ')
}

/** Not every value can become a string: an object without a prototype cannot. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error)
  } catch {
    return 'something that has no text was thrown'
  }
}

/** Programmer errors stop the process: a supervisor restarts it. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}
