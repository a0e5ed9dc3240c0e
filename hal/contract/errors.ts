/** The closed set of operating errors of the HAL. Callers branch on `code`; a programmer's mistake is a plain Error. */

export type HalErrorCode =
  | 'no-acknowledge'
  | 'checksum'
  | 'timeout'
  | 'not-present'
  | 'busy'
  | 'closed'
  | 'permission'
  | 'out-of-range'
  | 'unsupported'
  | 'malformed'
  | 'other'

const retryableCodes: ReadonlySet<HalErrorCode> = new Set(['no-acknowledge', 'checksum', 'timeout', 'busy'])

/** An operating error of the HAL. `message` is one line that names what and where. */
export class HalError extends Error {
  override readonly name = 'HalError'
  readonly code: HalErrorCode
  /** True where trying the same again can help. */
  readonly retryable: boolean

  constructor(code: HalErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.retryable = retryableCodes.has(code)
  }
}
