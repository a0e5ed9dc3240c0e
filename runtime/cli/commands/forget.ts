/** `ganglion forget PERSON`: what agents remember about somebody is erased, on every device that is online. */

import { UsageError } from '../../base/errors.ts'
import type { AgentForgot } from '../../wire/agents.ts'
import { confirm } from '../confirm.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import type { HubClient } from '../hub-client.ts'
import { type PersonOptions, personFor } from '../person.ts'

export interface ForgetOptions extends PersonOptions {
  readonly url?: string
  readonly device?: string
  readonly yes?: boolean
}

const forgetMsMax = 45_000
const instead = 'say --yes with it'

interface Known {
  readonly id: string
  readonly availability: string
}

/** Exit code 1 where a device is away, or nobody says yes: then it remembers still. */
export async function forget(person: string, options: ForgetOptions, context: Context): Promise<number> {
  const { terminal, signal } = context
  if (person.trim() === '') throw new UsageError('forget: say whom, as agents noted them')
  const hub = openHub(options, context)
  const { online, away } = await devicesOf(hub, options.device)
  if (!options.yes && terminal.json) throw new UsageError(`--json asks nobody: ${instead}`)
  const where = online.join(', ')
  const question = `Erase what agents on ${where} remember about ${person}, and all recorded runs? It cannot be undone.`
  if (!options.yes && !(await confirm(question, instead, signal))) {
    terminal.error('nothing was erased')
    return 1
  }
  const went: ({ device: string } & AgentForgot)[] = []
  for (const device of online) {
    const who = await personFor(options, device, ['forget', person], context)
    const path = `/api/devices/${encodeURIComponent(device)}/forget`
    const forgot = await hub.post<AgentForgot>(path, { about: person, ...who }, forgetMsMax)
    went.push({ device, ...forgot })
    if (!terminal.json)
      terminal.out(
        `${terminal.style('green', '✓')} ${device}: ${forgot.erased} things and ${forgot.runs} recorded runs are erased`,
      )
  }
  if (terminal.json) terminal.out(JSON.stringify({ forgot: went, away }))
  if (away.length > 0) terminal.error(`${away.join(', ')} could not be asked: do it again when they are back`)
  return away.length > 0 ? 1 : 0
}

async function devicesOf(hub: HubClient, only: string | undefined) {
  if (only !== undefined) return { online: [only], away: [] }
  const { devices } = await hub.get<{ devices: Known[] }>('/api/devices')
  const isOnline = ({ availability }: Known) => availability === 'online'
  const online = devices.filter(isOnline).map(({ id }) => id)
  if (online.length === 0) throw new UsageError('no device is online')
  return { online, away: devices.filter((device) => !isOnline(device)).map(({ id }) => id) }
}
