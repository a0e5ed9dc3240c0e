/** `ganglion approvals` and `ganglion approve ID ANSWER`: what agents wait for a person for. */

import { UsageError } from '../../base/errors.ts'
import type { Approval, ApprovalsResult, ApproveResult } from '../../wire/approvals.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import type { HubClient } from '../hub-client.ts'
import { onlineDevices } from '../only-device.ts'
import { type PersonOptions, personFor } from '../person.ts'

export interface ApprovalsOptions {
  readonly url?: string
  readonly device?: string
}
export interface ApproveOptions extends ApprovalsOptions, PersonOptions {}

const answerMsMax = 10_000

const pathOf = (device: string) => `/api/devices/${encodeURIComponent(device)}/approvals`

interface Asked extends ApprovalsResult {
  readonly device: string
}

/** Of the device that is named, else of all that are online. */
async function askedOn(hub: HubClient, named: string | undefined): Promise<readonly Asked[]> {
  const devices = named === undefined ? await onlineDevices(hub) : [named]
  return await Promise.all(
    devices.map(async (device) => ({ device, ...(await hub.get<ApprovalsResult>(pathOf(device))) })),
  )
}

export async function approvals(options: ApprovalsOptions, context: Context): Promise<number> {
  const { terminal } = context
  const asked = await askedOn(openHub(options, context), options.device)
  const waiting = asked.flatMap(({ device, approvals: of }) => of.map((one) => ({ ...one, device })))
  const people = [...new Set(asked.flatMap((one) => one.people))]
  if (terminal.json) terminal.out(JSON.stringify({ approvals: waiting, people }))
  else if (waiting.length === 0) terminal.out('nothing waits for an answer')
  else for (const one of waiting) terminal.out(lineOf(one, asked.length > 1 ? ` on ${one.device}` : ''))
  return 0
}

function lineOf({ id, agent, kind, words, choices, expiresMs }: Approval, where: string): string {
  const what = kind === 'question' ? `asks: ${words}  [${choices.join(' | ')}]` : `wants to ${words}`
  return `${id}  ${agent}${where} ${what}  (until ${new Date(expiresMs).toLocaleTimeString('en-GB')})`
}

/** A whole id: a person must not answer another question than the one they read. */
export async function approve(
  id: string,
  answer: string,
  options: ApproveOptions,
  context: Context,
): Promise<number> {
  const { terminal } = context
  const hub = openHub(options, context)
  const device = options.device ?? (await deviceThatAsks(hub, id))
  const person = await personFor(options, device, ['approve', id, answer], context)
  const body = { answer, ...person }
  const done = await hub.post<ApproveResult>(`${pathOf(device)}/${encodeURIComponent(id)}`, body, answerMsMax)
  if (terminal.json) terminal.out(JSON.stringify(done))
  else terminal.out(`${done.agent} was told ${done.answer}: ${done.words}`)
  if (done.unrecorded) terminal.note(`Not on record: ${done.unrecorded}`)
  return 0
}

/** Of several that are online the one on which it waits. Throws UsageError where it waits on none. */
async function deviceThatAsks(hub: HubClient, id: string): Promise<string> {
  const [only, ...others] = await onlineDevices(hub)
  // It says itself what became of the question.
  if (only !== undefined && others.length === 0) return only
  const asking = (await askedOn(hub, undefined)).find((asked) => asked.approvals.some((one) => one.id === id))
  if (!asking)
    throw new UsageError(`nothing of the id ${id} waits for an answer on ${[only, ...others].join(', ')}`)
  return asking.device
}
