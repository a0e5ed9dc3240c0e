/** Answers on their way: one for each question, however often a button is pressed. Nothing here is stored. */
import { signal } from '@preact/signals'
import { api, type Said } from '../api.ts'
import { type Asked, keyOfOver } from '../state/agents.ts'

export type Answering =
  | { readonly kind: 'sending'; readonly answer: string }
  | { readonly kind: 'told'; readonly answer: string }
  | { readonly kind: 'failed'; readonly message: string }

/** By device and question. */
export const answering = signal<ReadonlyMap<string, Answering>>(new Map())
/** More than wait at once on all devices that a page shows. */
const answeringMax = 256

export function answeringOf({ device, id }: Asked): Answering | undefined {
  return answering.value.get(keyOfOver({ device, approval: id }))
}

/** Sends an answer, unless one is on its way or was told. Never rejects. True: the device took it. */
export async function answer(asked: Asked, choice: string, said: Said): Promise<boolean> {
  const key = keyOfOver({ device: asked.device, approval: asked.id })
  const before = answering.peek().get(key)
  if (before?.kind === 'sending' || before?.kind === 'told') return false
  set(key, { kind: 'sending', answer: choice })
  try {
    await api.answer(asked.device, asked.id, choice, said)
    set(key, { kind: 'told', answer: choice })
    return true
  } catch (error) {
    set(key, { kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    return false
  }
}

function set(key: string, value: Answering): void {
  answering.value = new Map([...answering.peek(), [key, value] as const].slice(-answeringMax))
}
