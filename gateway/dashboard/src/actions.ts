/** What a person can do from this page. Nothing here changes a shown state: that is for telemetry. */
import type { Json, SayResult } from '../../../runtime/wire/messages.ts'
import { api, type FaultKind } from './api.ts'
import { type EntityView, keyOf } from './entity.ts'
import { announce } from './state/announce.ts'
import { conversation, rememberSaid, spokenTo } from './state/conversation.ts'
import { begin, type Outcome, settle, settled } from './state/feedback.ts'
import { onlineDevices } from './state/home.ts'

/** Sends a command and shows on the card what became of it. A later command to the same entity takes over the card. */
export async function command(entity: EntityView, wanted: Readonly<Record<string, Json>>): Promise<void> {
  const key = keyOf(entity)
  const call = begin(key, wanted)
  const outcome = await outcomeOf(entity, wanted)
  settle(key, call, outcome)
  announce(`${entity.name}. ${outcome.text}`)
}

async function outcomeOf(entity: EntityView, wanted: Readonly<Record<string, Json>>): Promise<Outcome> {
  try {
    return settled(await api.command(entity, wanted))
  } catch (error) {
    return { kind: 'failed', text: `Not done: ${messageOf(error)}` }
  }
}

export function say(text: string): Promise<void> {
  rememberSaid(text)
  return converse(text, () => api.say(text, listener()))
}

export function hear(wav: Blob): Promise<void> {
  return converse('your recording', () => api.hear(wav, listener()))
}

/** The chosen device; without a choice the only one, or the first of several. */
function listener(): string | undefined {
  return spokenTo.peek() ?? onlineDevices.peek()[0]?.id
}

async function converse(said: string, ask: () => Promise<SayResult>): Promise<void> {
  conversation.value = { kind: 'waiting', said }
  try {
    conversation.value = { kind: 'answered', result: await ask() }
  } catch (error) {
    conversation.value = { kind: 'error', said, message: messageOf(error) }
  }
}

/** Injects a fault into a simulated entity, or clears it. Resolves with a line that says what happened. */
export async function simulateFault(entity: EntityView, kind: FaultKind | null): Promise<string> {
  try {
    await api.fault(entity, kind)
    return kind === null ? 'Simulated fault cleared' : `Simulated fault “${kind}” is on`
  } catch (error) {
    return `Not possible: ${messageOf(error)}`
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
