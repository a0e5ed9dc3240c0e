/** `ganglion approvals` and `ganglion approve ID yes|no`: what agents may do only after a person's yes. */
import { userInfo } from 'node:os'
import { UsageError } from '../../base/errors.ts'
import type { ApprovalsResult, ApproveResult } from '../../wire/approvals.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import type { HubClient } from '../hub-client.ts'
import { onlyDevice } from '../only-device.ts'

export interface ApprovalsOptions {
  readonly url?: string
  readonly device?: string
}
export interface ApproveOptions extends ApprovalsOptions {
  readonly by?: string
}

const answerMsMax = 10_000

async function placeOf(
  options: ApprovalsOptions,
  context: Context,
): Promise<{ hub: HubClient; path: string }> {
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  return { hub, path: `/api/devices/${encodeURIComponent(device)}/approvals` }
}

export async function approvals(options: ApprovalsOptions, context: Context): Promise<number> {
  const { terminal } = context
  const { hub, path } = await placeOf(options, context)
  const { approvals: waiting } = await hub.get<ApprovalsResult>(path)
  if (terminal.json) terminal.out(JSON.stringify({ approvals: waiting }))
  else if (waiting.length === 0) terminal.out('nothing waits for an answer')
  else
    for (const { id, agent, words, expiresMs } of waiting)
      terminal.out(
        `${id}  ${agent} wants to ${words}  (until ${new Date(expiresMs).toLocaleTimeString('en-GB')})`,
      )
  return 0
}

/** A whole id: a person must not say yes to another question than the one they read. */
export async function approve(
  id: string,
  answer: string,
  options: ApproveOptions,
  context: Context,
): Promise<number> {
  if (answer !== 'yes' && answer !== 'no') throw new UsageError(`${answer} is no answer: write yes or no`)
  const { terminal } = context
  const { hub, path } = await placeOf(options, context)
  const body = { answer, by: options.by ?? userInfo().username }
  const done = await hub.post<ApproveResult>(`${path}/${encodeURIComponent(id)}`, body, answerMsMax)
  if (terminal.json) terminal.out(JSON.stringify(done))
  else terminal.out(`${done.agent} was told ${done.answer}: ${done.words}`)
  return 0
}
