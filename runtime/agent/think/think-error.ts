/** How a thought ends that gives no answer: in the codes of calls. */
import { CodedError } from '../../base/errors.ts'
import type { CallErrorCode } from '../contract.ts'

export class ThinkError extends CodedError<CallErrorCode> {
  override readonly name = 'ThinkError'
}
