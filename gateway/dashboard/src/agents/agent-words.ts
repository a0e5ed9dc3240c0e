/** Agents, what they ask and what was decided, in words a person uses. Pure but for the names of entities. */
import type { AgentNow, ApprovalOver, DecisionView } from '../state/agents.ts'
import { findEntity } from '../state/home.ts'
import { sentence, trimmed } from '../words.ts'

export const agentStates: Readonly<Record<string, string>> = {
  running: 'Running',
  stopped: 'Stopped',
  ended: 'Ended',
  failed: 'Failed',
  moving: 'Moving away',
  moved: 'Moved away',
  arriving: 'Arriving',
  standby: 'Standing by',
}

const waits: Readonly<Record<string, string>> = {
  sleep: 'a time that it set itself',
  every: 'its next time by the clock',
  on: 'something to happen in the home',
  until: 'something to become so',
  command: 'a command to be done and verified',
  read: 'a reading',
  infer: 'a model',
  think: 'a language model',
  ask: 'a person',
  call: 'another agent',
  calls: 'being called',
  'decide.auction': 'a decision of the devices',
  decide: 'a decision of the devices',
  lease: 'its turn with something that only one may use',
  board: 'a fact that the devices share',
  'board.on': 'a fact that the devices share',
}

/** `something to happen in the home, 2 times a time that it set itself`; undefined: nothing. */
export function waitWords(waiting: AgentNow['waiting']): string | undefined {
  if (waiting.length === 0) return undefined
  return waiting
    .map(({ op, count }) => {
      const kind = op.split('.')[0] ?? op
      const words = waits[op] ?? waits[kind] ?? op
      return count > 1 ? `${count} × ${words}` : words
    })
    .join(', ')
}

/** Of `command lock.front_door: state "unlocked"`: `set Front Door to unlocked`, with the names that the home has for things. */
export function plainAsk(words: string, device: string): string {
  const [, id = '', fields = ''] = /^command ([a-z_]+\.[A-Za-z0-9_.@-]+): (.*)$/s.exec(words) ?? []
  if (id === '') return words
  const [entity = id, owner = device] = id.split('@')
  const name = findEntity(entity, owner)?.name ?? id
  const plain = fields.replaceAll('"', '').replaceAll('_', ' ')
  return /^state [^,]+$/.test(plain) ? `set ${name} to ${plain.slice(6)}` : `set ${name}: ${plain}`
}

/** `Ada`, and how that is known. */
export function whoWords(by: string): string {
  const [, how, name] = /^(gateway|local|claimed):(.*)$/s.exec(by) ?? []
  if (how === undefined) return `${by}, by PIN`
  if (by === 'claimed:nobody') return 'somebody'
  if (how === 'gateway') return `${name}, logged in here`
  return how === 'local' ? `${name}, at the device` : `somebody who gave the name ${name}`
}

/** `Yes, said Ada, logged in here`. */
export function overWords({ state, by }: Pick<ApprovalOver, 'state' | 'by'>): string {
  if (state === 'expired') return 'Expired: nobody answered in time'
  if (state === 'withdrawn') return 'Withdrawn: it is no longer wanted'
  const answer = state === 'answered' ? 'Answered' : sentence(state)
  return by === undefined ? answer : `${answer}, by ${whoWords(by)}`
}

const kinds: Readonly<Record<DecisionView['kind'], string>> = {
  auction: 'Auction',
  'contract-net': 'Work awarded',
  vote: 'Vote',
  agree: 'Agreement',
}

export function decisionTitle({ kind, subject }: DecisionView): string {
  return `${kinds[kind]}: ${subject.replaceAll(/[_-]/g, ' ')}`
}

export function outcomeWords({ decided, winner, price }: DecisionView): string {
  if (!decided) return 'Nothing decided'
  if (winner === undefined) return 'Decided'
  return price === undefined ? `${winner} won` : `${winner} won, for ${trimmed(price, 2)}`
}

/** A time still to go: `4:05 min`, `1:02:00 h`, `12 s`. */
export function leftWords(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const two = (value: number) => String(value).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}:${two(seconds % 60)} min`
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)} h`
}

/** One line of a value that agents share: `wishC 20.5, until 7`. */
export function valueWords(value: unknown): string {
  if (typeof value === 'string') return value
  const fields = value !== null && typeof value === 'object' && !Array.isArray(value)
  const text = fields
    ? Object.entries(value)
        .map(([field, one]) => `${field} ${typeof one === 'string' ? one : JSON.stringify(one)}`)
        .join(', ')
    : (JSON.stringify(value) ?? '')
  return text.length > 160 ? `${text.slice(0, 159)}…` : text
}
