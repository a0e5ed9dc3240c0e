/** What can go wrong with a source of frames: one line each, never with an address's password in it. */
import { CodedError } from '../../base/errors.ts'

export type SeeingErrorCode =
  /** The program that decodes files and streams is not installed. */
  | 'no-ffmpeg'
  /** The source is not there, does not let us in, or is no picture. */
  | 'source'
  /** No first frame in time, or none any more. */
  | 'silent'
  /** A frame is not of the size that it says. */
  | 'frame'

export class SeeingError extends CodedError<SeeingErrorCode> {
  override readonly name = 'SeeingError'
}
