/** The error of every accelerator outside the engine. */
import type { AcceleratorErrorCode, AcceleratorFailure } from '../contract/accelerator.ts'

const retryableCodes: ReadonlySet<AcceleratorErrorCode> = new Set(['deadline', 'engine-lost', 'overloaded'])

export class AcceleratorError extends Error implements AcceleratorFailure {
  override readonly name = 'AcceleratorError'
  readonly code: AcceleratorErrorCode
  readonly retryable: boolean

  constructor(code: AcceleratorErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.retryable = retryableCodes.has(code)
  }
}

export function cancelled(): AcceleratorError {
  return new AcceleratorError('cancelled', 'cancelled by its caller')
}
