/**
 * Agents as devices last told of them, what waits for a person, and what was decided. The page never writes a state here that was
 * not told; of two messages of a device the later one holds, whichever arrives first.
 */
import { computed, signal } from '@preact/signals'
import type { AgentNow } from '../../../../runtime/wire/agents-now.ts'
import type { Approval } from '../../../../runtime/wire/approvals.ts'
import type { BoardFact } from '../../../../runtime/wire/board.ts'
import type {
  AgentsOfDevice,
  ApprovalOver,
  DecisionView,
  SessionAnswer,
} from '../../../../runtime/wire/http.ts'

export type AgentsLoading =
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string }

export interface Asked extends Approval {
  readonly device: string
}

export type { AgentNow, AgentsOfDevice, ApprovalOver, BoardFact, DecisionView }

/** What a page shows of what is over. */
const overMax = 8
const decisionsMax = 30

export const agentsLoading = signal<AgentsLoading>({ kind: 'loading' })
export const agentsOf = signal<ReadonlyMap<string, AgentsOfDevice>>(new Map())
export const over = signal<readonly ApprovalOver[]>([])
export const decisions = signal<readonly DecisionView[]>([])
export const facts = signal<readonly BoardFact[]>([])
/** There are more than these. */
export const moreFacts = signal(false)
/** Who this page is to the gateway. Undefined: not known yet. */
export const session = signal<SessionAnswer | undefined>(undefined)

/** What waits for a person, the first that runs out first. */
export const asked = computed<readonly Asked[]>(() =>
  [...agentsOf.value.values()]
    .flatMap(({ device, approvals }) => approvals.map((approval) => ({ ...approval, device })))
    .sort((one, other) => one.expiresMs - other.expiresMs),
)

/** Takes all that the gateway knows. */
export function replaceAgents(devices: readonly AgentsOfDevice[]): void {
  const before = agentsOf.peek()
  agentsOf.value = new Map(
    devices.map((now) => {
      const known = before.get(now.device)
      return [now.device, known && known.ts > now.ts ? known : now]
    }),
  )
  agentsLoading.value = { kind: 'ready' }
}

/** Takes what one device told; nothing: it has no agents any more. */
export function takeAgents(now: AgentsOfDevice | { readonly device: string }): void {
  const after = new Map(agentsOf.peek())
  const known = after.get(now.device)
  if (!('agents' in now)) after.delete(now.device)
  else if (!known || known.ts <= now.ts) after.set(now.device, now)
  agentsOf.value = after
}

export function takeOver(...more: readonly ApprovalOver[]): void {
  over.value = merged([...more, ...over.peek()], keyOfOver)
    .sort((one, other) => other.atMs - one.atMs)
    .slice(0, overMax)
}

export function takeDecisions(...more: readonly DecisionView[]): void {
  decisions.value = merged([...more, ...decisions.peek()], ({ decision }) => decision)
    .sort((one, other) => other.atMs - one.atMs)
    .slice(0, decisionsMax)
}

export const keyOfOver = ({ device, approval }: Pick<ApprovalOver, 'device' | 'approval'>) =>
  `${device}/${approval}`

/** The first of each key. */
function merged<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const found = new Map<string, T>()
  for (const item of items) if (!found.has(keyOf(item))) found.set(keyOf(item), item)
  return [...found.values()]
}
