/** The utterance that an option of a question stands for: what was said, with the unclear words replaced. Pure. */
import type { SayResult } from '../../../../runtime/wire/messages.ts'

export function withOption({ transcript, reading }: SayResult, option: string): string {
  const unclear = reading?.words.findLast((word) => word.role === 'target')?.text
  if (unclear === undefined) return option
  const at = transcript.toLowerCase().lastIndexOf(unclear.toLowerCase())
  if (at === -1) return option
  return `${transcript.slice(0, at)}${option}${transcript.slice(at + unclear.length)}`
}
