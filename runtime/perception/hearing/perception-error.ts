/** What can be wrong with a recording: one line each, for the person who gave it. */
import { CodedError } from '../../base/errors.ts'

export type PerceptionErrorCode =
  | 'not-a-wav'
  /** A WAVE file without a single sample. */
  | 'empty'
  | 'too-long'
  /** A WAVE file in an encoding, rate or channel count that is not read. */
  | 'unsupported-format'

export class PerceptionError extends CodedError<PerceptionErrorCode> {
  override readonly name = 'PerceptionError'
}
