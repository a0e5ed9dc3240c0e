/** The last thing said from this page and its answer. Kept in memory only: what is said at home stays out of storage. */
import { signal } from '@preact/signals'
import type { SayResult } from '../../../../runtime/wire/messages.ts'

export type Conversation =
  | { readonly kind: 'idle' }
  | { readonly kind: 'waiting'; readonly said: string }
  | { readonly kind: 'answered'; readonly result: SayResult }
  | { readonly kind: 'error'; readonly said: string; readonly message: string }

export const conversation = signal<Conversation>({ kind: 'idle' })

/** Device that is spoken to, where the person chose one of several. */
export const spokenTo = signal<string | undefined>(undefined)

/** Lines typed, newest last. */
export const said = signal<readonly string[]>([])
const saidMax = 50

export function rememberSaid(line: string): void {
  said.value = [...said.peek().filter((other) => other !== line), line].slice(-saidMax)
}
