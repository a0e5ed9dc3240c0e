/** What may be remembered, and how much: what is over is refused with what is held and what may be [memory-5]. */
import { CodedError } from '../../base/errors.ts'

/** Of one agent. What is over a limit is refused: nothing is forgotten that nobody asked to forget. */
export const memoryLimits = {
  /** All keys fit into one answer. */
  keysMax: 900,
  keyBytesMax: 128,
  valueBytesMax: 32 * 1024,
  episodesMax: 5_000,
  textBytesMax: 4 * 1024,
  /** Keys, values and texts together: 64 agents fit on any disk. */
  bytesMax: 2 * 1024 * 1024,
  aboutBytesMax: 256,
  foundMax: 20,
  /** Calls of which it is known that they were performed: more than an agent can have open. */
  performedMax: 2_048,
} as const

export class MemoryError extends CodedError<'limit' | 'bad-request'> {
  override readonly name = 'MemoryError'
}

export const bytesOf = (text: string) => Buffer.byteLength(text)

/** A person as compared: `Ana`, ` ana` and `ANA` are one, also with what nobody sees in between. */
export function personOf(about: string | undefined): string | null {
  if (about === undefined) return null
  const person = about
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .replace(/\s+/gu, ' ')
    .trim()
    .toLowerCase()
  if (person === '' || bytesOf(about) > memoryLimits.aboutBytesMax)
    throw new MemoryError('bad-request', `about names a person in 1 to ${memoryLimits.aboutBytesMax} bytes`)
  return person
}

export function refuseKey(key: string): void {
  const { keyBytesMax } = memoryLimits
  if (!/^[^\p{C}"\\]+$/u.test(key) || bytesOf(key) > keyBytesMax)
    throw new MemoryError(
      'bad-request',
      `a key is 1 to ${keyBytesMax} bytes of text without quotes and backslashes`,
    )
}

export function refuseLong(what: string, bytes: number, most: number): void {
  if (bytes > most)
    throw new MemoryError('limit', `${what} to remember has ${bytes} bytes, more than the ${most} allowed`)
}
