/** Fetches a recording that the gateway holds for this device: a size limit, a deadline by the signal. */
import { CodedError } from '../base/errors.ts'
import { HttpError, httpGet } from '../base/http-get.ts'

export type RecordingErrorCode = 'too-large' | 'unreachable'
export class RecordingError extends CodedError<RecordingErrorCode> {
  override readonly name = 'RecordingError'
}

/** The recording that `gateway` keeps under `ticket`. Throws RecordingError [assistant-4]. */
export async function fetchRecording(
  gateway: string,
  ticket: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const url = new URL(`/api/tickets/${encodeURIComponent(ticket)}`, gateway).href
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
