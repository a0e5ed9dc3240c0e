/** Fetches a recording that the gateway holds for this device: one origin, a size limit, a deadline by the signal. */
import { CodedError } from '../base/errors.ts'
import { HttpError, httpGet } from '../base/http-get.ts'

export type RecordingErrorCode = 'foreign-origin' | 'too-large' | 'unreachable'
export class RecordingError extends CodedError<RecordingErrorCode> {
  override readonly name = 'RecordingError'
}

/** Throws RecordingError. A URL of any other origin is refused: this device is nobody's proxy [assistant-4]. */
export async function fetchRecording(
  url: string,
  origin: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (new URL(url).origin !== new URL(origin).origin) {
    throw new RecordingError('foreign-origin', `recordings are fetched from ${new URL(origin).origin} only`)
  }
  try {
    return await httpGet(url, bytesMax, signal)
  } catch (error) {
    if (!(error instanceof HttpError)) throw error
    if (error.code === 'too-large') {
      throw new RecordingError(
        'too-large',
        `the recording is larger than the ${Math.floor(bytesMax / 1e6)} MB that are listened to`,
      )
    }
    throw new RecordingError('unreachable', `the recording could not be fetched: ${error.message}`, {
      retryable: error.retryable,
      cause: error,
    })
  }
}
