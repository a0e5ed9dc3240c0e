/** What goes wrong with a server of tools. */
import { CodedError } from '../../base/errors.ts'
import type { CallErrorCode } from '../contract.ts'

/** `uncertain`: the tool may have done what it was asked for. */
export type ToolServerErrorCode = Extract<
  CallErrorCode,
  'bad-request' | 'not-found' | 'unavailable' | 'timeout' | 'uncertain' | 'limit' | 'refused'
>

export class ToolServerError extends CodedError<ToolServerErrorCode> {
  override readonly name = 'ToolServerError'
}
