/**
 * What devices tell of their agents, as it was last told: the agents of each, what waits for a person and how that ended, and what
 * devices decided together. Kept of a device that is gone too, so that a page shows what was known. Bounded in number and bytes; where
 * there is no more room, the oldest goes of what the device told that told most: one that tells without end hides its own.
 */
import * as v from 'valibot'
import { type AgentsNow, agentsNow, agentsNowLimits } from '../../runtime/wire/agents-now.ts'
import { approvalStates } from '../../runtime/wire/approvals.ts'
import { type DecisionEvent, decisionEvent } from '../../runtime/wire/decide.ts'
import type { AgentsOfDevice, ApprovalOver, DecisionView } from '../../runtime/wire/http.ts'
import { parseJson } from '../../runtime/wire/messages.ts'
import type { DeviceTopic } from '../../runtime/wire/topics.ts'

export type AgentsChange =
  | { readonly kind: 'agents'; readonly device: string }
  | { readonly kind: 'approval'; readonly over: ApprovalOver }
  | { readonly kind: 'decision'; readonly decision: DecisionView }

/** As many as the directory knows. */
const devicesMax = 64
const overMax = 64
const decisionsMax = 100
/** Of all accounts of decisions: of each decision that is kept, that of 15 devices that all tell something long. */
const decisionsBytesMax = 4 * 1024 * 1024
/** Accounts of one decision: its members. */
const accountsMax = 64
const eventBytesMax = 16 * 1024

const text = v.pipe(v.string(), v.maxLength(512))
const approvalEvent = v.object({
  ts: v.number(),
  approval: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  agent: text,
  words: text,
  state: v.picklist(approvalStates),
  by: v.optional(text),
})

interface Decision {
  /** By device, in the order in which they were heard. */
  readonly accounts: Map<string, DecisionEvent>
  bytes: number
}

export class AgentsLive {
  readonly #devices = new Map<string, AgentsNow>()
  /** By device and id, oldest first. */
  readonly #over = new Map<string, ApprovalOver>()
  /** By id, oldest first; with what each device told of it. */
  readonly #decisions = new Map<string, Decision>()
  #decisionsBytes = 0
  readonly #onBad: (device: string, reason: string) => void

  constructor(onBad: (device: string, reason: string) => void) {
    this.#onBad = onBad
  }

  /** Takes in one message; what changed by it. */
  apply(topic: DeviceTopic, payload: Uint8Array): AgentsChange[] {
    if (topic.kind === 'agents') return this.#agents(topic.device, payload)
    if (topic.kind !== 'event') return []
    if (topic.event === 'approval') return this.#approval(topic.device, payload)
    return topic.event === 'decision' ? this.#decision(topic.device, payload) : []
  }

  /** The device is not known any more. */
  remove(device: string): void {
    this.#devices.delete(device)
  }

  /** By device. */
  devices(): AgentsOfDevice[] {
    return [...this.#devices].map(([device, { v: _, ...now }]) => ({ device, ...now }))
  }

  device(device: string): AgentsOfDevice | undefined {
    return this.devices().find((one) => one.device === device)
  }

  /** How what waited for a person ended, newest first. */
  over(): ApprovalOver[] {
    return [...this.#over.values()].reverse()
  }

  /** Newest first. */
  decisions(): DecisionView[] {
    return [...this.#decisions.values()].map(({ accounts }) => viewOf(accounts)).reverse()
  }

  #agents(device: string, payload: Uint8Array): AgentsChange[] {
    if (payload.byteLength === 0) return this.#devices.delete(device) ? [{ kind: 'agents', device }] : []
    const parsed = parseJson(agentsNow, payload, agentsNowLimits.bytesMax)
    if (!parsed.ok) return this.#bad(device, `agents: ${parsed.reason}`)
    if (!this.#devices.has(device) && this.#devices.size >= devicesMax)
      return this.#bad(device, `more than ${devicesMax} devices with agents`)
    this.#devices.set(device, parsed.value)
    return [{ kind: 'agents', device }]
  }

  #approval(device: string, payload: Uint8Array): AgentsChange[] {
    const parsed = parseJson(approvalEvent, payload, eventBytesMax)
    if (!parsed.ok) return this.#bad(device, `event/approval: ${parsed.reason}`)
    const { state, ts: atMs, ...rest } = parsed.value
    const key = `${device}/${rest.approval}`
    // Told by the retained message; and twice, where the broker delivers twice.
    if (state === 'asked' || this.#over.has(key)) return []
    const over = { device, atMs, state, ...rest }
    this.#over.set(key, over)
    if (this.#over.size > overMax) drop(this.#over, (one) => one.device)
    return [{ kind: 'approval', over }]
  }

  #decision(device: string, payload: Uint8Array): AgentsChange[] {
    const parsed = parseJson(decisionEvent, payload, eventBytesMax)
    if (!parsed.ok) return this.#bad(device, `event/decision: ${parsed.reason}`)
    const { decision } = parsed.value
    const known = this.#decisions.get(decision) ?? { accounts: new Map<string, DecisionEvent>(), bytes: 0 }
    const { accounts } = known
    if (accounts.has(device) || accounts.size >= accountsMax) return []
    accounts.set(device, parsed.value)
    known.bytes += payload.byteLength
    this.#decisionsBytes += payload.byteLength
    this.#decisions.set(decision, known)
    const teller = (one: Decision) => [...one.accounts.keys()][0] ?? ''
    while (this.#decisions.size > decisionsMax || this.#decisionsBytes > decisionsBytesMax)
      this.#decisionsBytes -= drop(this.#decisions, teller)?.bytes ?? 0
    return [{ kind: 'decision', decision: viewOf(accounts) }]
  }

  #bad(device: string, reason: string): [] {
    this.#onBad(device, reason)
    return []
  }
}

/** Takes out the oldest of the device that told most. */
function drop<One>(kept: Map<string, One>, deviceOf: (one: One) => string): One | undefined {
  const told = new Map<string, number>()
  for (const one of kept.values()) told.set(deviceOf(one), (told.get(deviceOf(one)) ?? 0) + 1)
  const most = Math.max(...told.values())
  const [key, one] = [...kept].find(([, other]) => told.get(deviceOf(other)) === most) ?? []
  if (key !== undefined) kept.delete(key)
  return one
}

/** As its opener tells it, or else who was heard first; and who tells it differently. */
function viewOf(accounts: ReadonlyMap<string, DecisionEvent>): DecisionView {
  const [first] = accounts.values()
  if (!first) throw new Error('a decision that nobody told')
  const told = accounts.get(first.opener) ?? first
  const differing = [...accounts]
    .filter(([, one]) => one.decided !== told.decided || one.winner !== told.winner)
    .map(([device, { decided, winner, reason }]) => ({
      device,
      decided,
      ...(winner !== undefined && { winner }),
      reason,
    }))
  return { ...told, toldBy: [...accounts.keys()], differing }
}
