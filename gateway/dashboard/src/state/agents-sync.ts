/** Keeps what the page knows of agents equal to what the gateway knows: loaded at each connection, then by events. */
import type { AgentsOfDevice, ApprovalOver, DecisionView } from '../../../../runtime/wire/http.ts'
import { overWords, plainAsk } from '../agents/agent-words.ts'
import { ApiError, api } from '../api.ts'
import type { LiveEvent } from '../live.ts'
import { plain } from '../plain-text.ts'
import {
  agentsLoading,
  agentsOf,
  facts,
  moreFacts,
  replaceAgents,
  session,
  takeAgents,
  takeDecisions,
  takeOver,
} from './agents.ts'
import { announce } from './announce.ts'

/** A gateway that is up but could not answer gets this long before it is asked again. */
const againAfterMs = 5_000
let retry: ReturnType<typeof setTimeout> | undefined

const kinds = ['agents', 'approval', 'decision', 'board'] as const
type AgentsEvent = (typeof kinds)[number]

export function isAgentsEvent(kind: LiveEvent): kind is AgentsEvent {
  return (kinds as readonly LiveEvent[]).includes(kind)
}

export function agentsEvent(kind: AgentsEvent, value: unknown): void {
  if (kind === 'board') void loadBoard()
  else if (value === undefined || value === null) return
  else if (kind === 'agents') takeTold(plain(value as AgentsOfDevice))
  else if (kind === 'decision') takeDecisions(plain(value as DecisionView))
  else {
    const ended = plain(value as ApprovalOver)
    takeOver(ended)
    announce(`${ended.agent}, ${plainAsk(ended.words, ended.device)}. ${overWords(ended)}`)
  }
}

/** Never rejects: what failed is shown where it would stand, and tried again. */
export async function loadAgents(): Promise<void> {
  clearTimeout(retry)
  try {
    const [agents, decided, who] = plain(
      await Promise.all([api.agents(), api.decisions(), api.session()] as const),
    )
    replaceAgents(agents.devices)
    takeOver(...agents.over)
    takeDecisions(...decided.decisions)
    session.value = who
  } catch (error) {
    if (error instanceof ApiError && error.code === 'unauthorized') return
    retry = setTimeout(() => void loadAgents(), againAfterMs)
    if (agentsLoading.peek().kind !== 'ready')
      agentsLoading.value = {
        kind: 'failed',
        message: error instanceof Error ? error.message : String(error),
      }
  }
  await loadBoard()
}

export async function loadSession(): Promise<void> {
  session.value = await api.session()
}

/** The facts stay as they were where nobody can say what they are now. */
async function loadBoard(): Promise<void> {
  const told = await api.board().catch(() => undefined)
  if (told?.device === undefined) return
  facts.value = plain(told.facts)
  moreFacts.value = told.more === true
}

function takeTold(now: AgentsOfDevice): void {
  const before = new Set(
    agentsOf
      .peek()
      .get(now.device)
      ?.approvals.map(({ id }) => id),
  )
  takeAgents(now)
  const [first, ...others] = (now.approvals ?? []).filter(({ id }) => !before.has(id))
  if (!first) return
  const more = others.length > 0 ? ` And ${others.length} more.` : ''
  const words = first.kind === 'permission' ? plainAsk(first.words, now.device) : first.words
  announce(`${first.agent} asks for an answer: ${words}.${more}`)
}
