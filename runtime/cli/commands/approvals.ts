/** `ganglion approvals` and `ganglion approve ID ANSWER`: what agents wait for a person for. */
import type { Approval, ApprovalsResult, ApproveResult } from '../../wire/approvals.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import type { HubClient } from '../hub-client.ts'
import { onlyDevice } from '../only-device.ts'
import { type PersonOptions, personFor } from '../person.ts'

export interface ApprovalsOptions {
  readonly url?: string
  readonly device?: string
}
export interface ApproveOptions extends ApprovalsOptions, PersonOptions {}

const answerMsMax = 10_000

async function placeOf(
  options: ApprovalsOptions,
  context: Context,
): Promise<{ hub: HubClient; device: string; path: string }> {
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  return { hub, device, path: `/api/devices/${encodeURIComponent(device)}/approvals` }
}

export async function approvals(options: ApprovalsOptions, context: Context): Promise<number> {
  const { terminal } = context
  const { hub, path } = await placeOf(options, context)
  const { approvals: waiting, people } = await hub.get<ApprovalsResult>(path)
  if (terminal.json) terminal.out(JSON.stringify({ approvals: waiting, people }))
  else if (waiting.length === 0) terminal.out('nothing waits for an answer')
  else for (const one of waiting) terminal.out(lineOf(one))
  return 0
}

function lineOf({ id, agent, kind, words, choices, expiresMs }: Approval): string {
  const what = kind === 'question' ? `asks: ${words}  [${choices.join(' | ')}]` : `wants to ${words}`
  return `${id}  ${agent} ${what}  (until ${new Date(expiresMs).toLocaleTimeString('en-GB')})`
}

/** A whole id: a person must not answer another question than the one they read. */
export async function approve(
  id: string,
  answer: string,
  options: ApproveOptions,
  context: Context,
): Promise<number> {
  const { terminal } = context
  const { hub, device, path } = await placeOf(options, context)
  const person = await personFor(options, device, ['approve', id, answer], context)
  const body = { answer, ...person }
  const done = await hub.post<ApproveResult>(`${path}/${encodeURIComponent(id)}`, body, answerMsMax)
  if (terminal.json) terminal.out(JSON.stringify(done))
  else terminal.out(`${done.agent} was told ${done.answer}: ${done.words}`)
  return 0
}
