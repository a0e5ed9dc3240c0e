/**
 * Decides about the calls of a device's agents: by their grants, by what was used before, and by asking people where a grant says so.
 * Everything it is asked, decides and learns of the end is in the audit log.
 *
 * Invariants: [permit-5] what cannot be recorded is not allowed: the decision is on the disk before it is given; [permit-6], [permit-7],
 * [permit-8], [permit-9] of `uses.ts` and `approvals.ts`; [permit-10] nothing that an agent says is recorded but what it is about and the
 * values that a grant limits.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { AuditEntry } from '../../observe/audit-chain.ts'
import type { Verdict } from '../agents.ts'
import type { Json, Priority } from '../contract.ts'
import { type Caller, failed, type Outcome } from '../service.ts'
import type { Call } from '../turn.ts'
import { type Answer, ApprovalError, type Approvals, approvalIdOf, plainLine } from './approvals.ts'
import { type Capability, describeCapability, needsOf, printCapability } from './capability.ts'
import { type Grant, parseGrants } from './grant.ts'
import {
  askedTooOften,
  commandOf,
  isStillGranted,
  type Judgement,
  judge,
  rateOf,
  timeRefused,
} from './judge.ts'
import { covers } from './pattern.ts'
import { effective, noPolicy, type Policy, policyEntry, priorityOf, touchesNever } from './policy.ts'
import type { Uses } from './uses.ts'

export interface PermissionsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly audit: { append(entry: AuditEntry): void; durable(): Promise<void> }
  readonly uses: Uses
  readonly approvals: Pick<Approvals, 'ask'>
  /** How a call ends about which nobody need be asked; undefined: somebody is. */
  readonly refuses?: (call: AskedCall, signal: AbortSignal) => Promise<Outcome | undefined>
  /** IANA name of the zone that times of day in grants are in. */
  readonly timezone: string
  readonly policy: Policy
}

/** A call, and when it was asked for. */
export type AskedCall = Pick<Call, 'id' | 'op' | 'args' | 'stream'> & { readonly askedMs: number }

/** How long a person has where the agent itself sets no deadline, and at most. */
const approvalMs = 600_000
const approvalMsMax = 86_400_000
/** Parsed grants that are kept: more than agents run on one device. */
const parsedMax = 512

export class Permissions {
  readonly #deps: PermissionsDeps
  readonly #parsed = new Map<string, readonly Grant[]>()
  #policy: Policy

  constructor(deps: PermissionsDeps) {
    this.#deps = deps
    this.#policy = deps.policy
    if (deps.policy !== noPolicy) this.#append(policyEntry(deps.policy))
  }

  /** From now on this policy holds, for what was granted before too; what waits is asked about with `revoked`. */
  set policy(policy: Policy) {
    this.#append(policyEntry(policy))
    this.#policy = policy
    this.#parsed.clear()
  }

  /** Settles with the verdict; where a person must be asked, when they answer or their time is over. Never throws. */
  async decide(caller: Caller, call: AskedCall, grants: string, signal: AbortSignal): Promise<Verdict> {
    try {
      return await this.#decide(caller, call, grants, signal)
    } catch (error) {
      this.#deps.log.error('a permission could not be decided', {
        agent: caller.agent,
        reason: messageOf(error),
      })
      const reason = 'it cannot be recorded, so it is not allowed'
      return { allow: false, outcome: failed('unavailable', `${call.op}: ${reason}`) }
    }
  }

  /** What to answer a call that was allowed and under these grants no longer is. */
  readonly revoked = (caller: Caller, call: AskedCall, grants: string): Outcome | undefined => {
    if (isStillGranted(call, this.#grants(grants), this.#never)) return undefined
    this.#record('revoked', caller, call, {})
    return failed('permission', `${call.op}: this was taken back`)
  }

  /** How soon an agent is served that asks for this: as far as it was granted. */
  priorityOf(asked: Priority, grants: string): Priority {
    return priorityOf(asked, this.#grants(grants), this.#policy)
  }

  async #decide(caller: Caller, call: AskedCall, text: string, signal: AbortSignal): Promise<Verdict> {
    const { clock, timezone, uses, audit } = this.#deps
    const key = keyOf(caller, call)
    let judgement = this.#judge(caller, call, text)
    if (judgement.verdict === 'deny') return this.#denied(caller, call, judgement)
    let by: string | undefined
    if (judgement.verdict === 'ask') {
      const capability = printCapability(judgement.grant.capability)
      if (!uses.isApproved(caller.agent, capability, key)) {
        const answer = await this.#ask(caller, call, judgement.grant, signal)
        if ('outcome' in answer) return { allow: false, outcome: answer.outcome }
        by = answer.by
        // While somebody thought about it its hours may have ended, or its rate been used up, or the policy changed.
        judgement = this.#judge(caller, call, text)
        if (judgement.verdict === 'deny') return this.#denied(caller, call, judgement, by)
      }
    }
    const { grant } = judgement
    // Asks nothing of anybody.
    if (!grant) return { allow: true }
    const capability = printCapability(grant.capability)
    // Nothing is waited for since it was judged: of two at once one has the last of a rate.
    if (grant.limits.ask || rateOf(grant) !== undefined)
      uses.add(caller.agent, capability, key, clock.nowMs(), by !== undefined)
    const more = { capability, verdict: 'allow', ...(by === undefined ? {} : { by }) }
    this.#record('decision', caller, call, more, grant)
    await audit.durable()
    return {
      allow: true,
      passes: () => timeRefused(grant, { nowMs: clock.nowMs(), timezone }) === undefined,
      over: (outcome) => this.#over(caller, call, this.#grants(text), outcome),
    }
  }

  #judge(caller: Caller, call: AskedCall, text: string): Judgement {
    const { clock, timezone, uses } = this.#deps
    const nowMs = clock.nowMs()
    const key = keyOf(caller, call)
    const used = ({ capability }: Grant) => uses.times(caller.agent, printCapability(capability), key, nowMs)
    return judge(call, this.#grants(text), { nowMs, timezone, used, never: this.#never })
  }

  readonly #never = (capability: Capability) => touchesNever(this.#policy, capability)

  #denied(
    caller: Caller,
    call: AskedCall,
    { code, reason }: Extract<Judgement, { verdict: 'deny' }>,
    by?: string,
  ): Extract<Verdict, { allow: false }> {
    this.#record('decision', caller, call, { verdict: 'deny', reason: code, ...(by && { by }) })
    return { allow: false, outcome: failed(code, `${call.op}: ${reason}`) }
  }

  /** A person's yes, or how the call ends without one. */
  async #ask(
    caller: Caller,
    call: AskedCall,
    grant: Grant,
    signal: AbortSignal,
  ): Promise<{ readonly by: string } | { readonly outcome: Outcome }> {
    const { approvals, audit, clock, refuses, uses } = this.#deps
    const capability = printCapability(grant.capability)
    // Counted beside what was done: no agent asks without end because the answer is no.
    const asked = { as: `${capability} asked`, key: keyOf(caller, call), nowMs: clock.nowMs() }
    // After a restart a thing may not yet have said that it is there: what was asked about stays asked.
    const isNew = !uses.has(caller.agent, asked.as, asked.key)
    const refused = isNew ? await refuses?.(call, signal) : undefined
    if (refused?.ok === false) {
      this.#record(
        'decision',
        caller,
        call,
        { capability, verdict: 'deny', reason: refused.error.code },
        grant,
      )
      return { outcome: refused }
    }
    const before = uses.times(caller.agent, asked.as, asked.key, asked.nowMs)
    const tooOften = askedTooOften(grant, before, asked.nowMs)
    if (tooOften) return this.#denied(caller, call, { verdict: 'deny', code: 'permission', reason: tooOften })
    uses.add(caller.agent, asked.as, asked.key, asked.nowMs)
    const { deadlineMs } = call.args
    const expiresMs = Math.min(
      typeof deadlineMs === 'number' ? deadlineMs : call.askedMs + approvalMs,
      clock.nowMs() + approvalMsMax,
    )
    this.#record('asked', caller, call, { capability, expiresMs }, grant)
    await audit.durable()
    let answer: Answer
    try {
      answer = await approvals.ask(
        {
          ...{ id: approvalIdOf(caller.agent, call), agent: caller.agent, kind: 'permission' },
          ...{ words: wordsOf(call), choices: ['yes', 'no'], askedMs: call.askedMs, expiresMs },
        },
        signal,
      )
    } catch (error) {
      if (!(error instanceof ApprovalError)) throw error
      this.#record('decision', caller, call, { capability, verdict: 'deny', reason: error.code }, grant)
      return { outcome: failed('limit', `${call.op}: ${error.message}`) }
    }
    if (answer.state === 'answered' && answer.answer === 'yes') return { by: answer.by }
    const over = answer.state === 'answered' ? { reason: 'no', by: answer.by } : { reason: answer.state }
    this.#record('decision', caller, call, { capability, verdict: 'deny', ...over }, grant)
    if (answer.state === 'answered') return { outcome: failed('permission', `${call.op}: a person said no`) }
    if (answer.state === 'withdrawn') return { outcome: failed('cancelled', `${call.op}: no longer wanted`) }
    return { outcome: failed('timeout', `${call.op}: nobody said yes in time`) }
  }

  #over(caller: Caller, call: AskedCall, grants: readonly Grant[], outcome: Outcome): Outcome {
    this.#record('effect', caller, call, { outcome: outcome.ok ? 'ok' : outcome.error.code })
    if (call.op !== 'entities' || !outcome.ok || !Array.isArray(outcome.value)) return outcome
    return {
      ok: true,
      value: outcome.value.filter((id) => mayRead(id, grants) && !this.#never({ kind: 'read', pattern: id })),
    }
  }

  #grants(text: string): readonly Grant[] {
    let grants = this.#parsed.get(text)
    if (!grants) {
      try {
        grants = effective(this.#policy, parseGrants(text))
      } catch (error) {
        this.#deps.log.error('grants that nobody can read allow nothing', { reason: messageOf(error) })
        grants = []
      }
      if (this.#parsed.size >= parsedMax) this.#parsed.clear()
      this.#parsed.set(text, grants)
    }
    return grants
  }

  #record(
    kind: string,
    { agent, token }: Caller,
    call: AskedCall,
    more: { readonly [key: string]: string | number },
    grant?: Grant,
  ): void {
    const { id, op } = call
    const values = grant && limitedValues(grant, call)
    this.#append({
      kind,
      agent,
      token,
      call: id,
      op,
      about: aboutOf(call),
      ...(values && { values }),
      ...more,
    })
  }

  /** A line that need not be on the disk yet; one that cannot be written is told by the next decision. */
  #append(entry: AuditEntry): void {
    const { audit, log } = this.#deps
    audit.append(entry)
    audit
      .durable()
      .catch((error) => log.error('the audit log cannot be written', { reason: messageOf(error) }))
  }
}

/** The same for a call that is performed again after a crash. */
function keyOf({ token }: Caller, { id }: AskedCall): string {
  return `${token}.${id}`
}

function mayRead(id: unknown, grants: readonly Grant[]): id is string {
  return (
    typeof id === 'string' &&
    grants.some(({ capability }) => capability.kind === 'read' && covers(capability.pattern, id))
  )
}

/** Which capabilities a call needs: entity, model, key; never what is said or written there. */
function aboutOf(call: AskedCall): readonly string[] {
  const needs = needsOf(call)
  return typeof needs === 'string' ? [] : needs.map(({ capability }) => printCapability(capability))
}

/** The values that the grant looked at: that and no more is recorded. */
function limitedValues(
  { limits }: Grant,
  { args }: AskedCall,
): { readonly [field: string]: Json } | undefined {
  const command = limits.values && commandOf(args)
  if (!command) return undefined
  const limited = (of: { readonly [field: string]: Json }) =>
    Object.fromEntries(Object.entries(of).filter(([field]) => Object.hasOwn(limits.values ?? {}, field)))
  const expires = expiresOf(args)
  const back = expires && { expires: { afterMs: expires.afterMs, to: limited(expires.to) } }
  return { ...limited(command), ...back }
}

/** What the entity goes back to: commanded as well. */
function expiresOf(args: AskedCall['args']) {
  const { afterMs, to } = (args['expires'] ?? {}) as {
    afterMs?: Json
    to?: { readonly [field: string]: Json }
  }
  return typeof to === 'object' && to !== null ? { afterMs: Number(afterMs), to } : undefined
}

/** Shown to a person, and so on the home's broker: what unlocks something is not theirs to read there. */
const secretField = /code|pin|pass|secret|token|key/i
const shownCharsMax = 40
const wordsMax = 400

/** For the person who is asked: `command lock.front_door: state "locked", after 60 s: state "unlocked"`. */
function wordsOf(call: AskedCall): string {
  const needs = needsOf(call)
  const [first] = typeof needs === 'string' ? [] : needs
  const what = first ? describeCapability(first.capability) : call.op
  const fields = inWords(fieldsOf(call))
  const expires = call.op === 'command' ? expiresOf(call.args) : undefined
  const back = expires ? `, after ${expires.afterMs / 1_000} s: ${inWords(expires.to)}` : ''
  const words = plainLine(fields ? `${what}: ${fields}` : what)
  // Of many words those are left out that do not say how it ends.
  return `${words.slice(0, Math.max(200, wordsMax - back.length))}${plainLine(back)}`.slice(0, wordsMax)
}

function inWords(fields: object): string {
  return Object.entries(fields)
    .map(([field, value]) => `${field} ${secretField.test(field) ? '…' : shown(value)}`)
    .join(', ')
}

/** What a person should know before they say yes, as far as it may be told on the home's broker. */
function fieldsOf({ op, args }: AskedCall): object {
  if (op === 'command') return commandOf(args) ?? {}
  const given = args['arguments']
  const mayBeTold = op === 'tool' && args['privacy'] !== 'device'
  return mayBeTold && typeof given === 'object' && given !== null ? given : {}
}

function shown(value: Json): string {
  const text = JSON.stringify(value)
  return text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text
}
