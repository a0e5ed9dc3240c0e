/** Fetches a recording that the gateway holds for this device: one origin, a size limit, a deadline by the signal. */
import { CodedError, messageOf } from '../base/errors.ts'

export type RecordingErrorCode = 'foreign-origin' | 'too-large' | 'unreachable'
export class RecordingError extends CodedError<RecordingErrorCode> {
  override readonly name = 'RecordingError'
}

/** Throws RecordingError. A URL of any other origin is refused: this device is nobody's proxy. */
export async function fetchRecording(
  url: string,
  origin: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (new URL(url).origin !== new URL(origin).origin) {
    throw new RecordingError('foreign-origin', `recordings are fetched from ${new URL(origin).origin} only`)
  }
  const response = await request(url, signal)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > bytesMax)
      throw new RecordingError(
        'too-large',
        `the recording is larger than the ${bytesMax / 1e6} MB that are listened to`,
      )
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}

async function request(url: string, signal: AbortSignal): Promise<Response> {
  try {
    const response = await fetch(url, { signal, redirect: 'error' })
    if (response.ok) return response
    throw new RecordingError('unreachable', `the gateway answered ${response.status} for the recording`)
  } catch (error) {
    if (signal.aborted || error instanceof RecordingError) throw error
    throw new RecordingError('unreachable', `the recording could not be fetched: ${messageOf(error)}`, {
      retryable: true,
      cause: error,
    })
  }
}
