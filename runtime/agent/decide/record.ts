/**
 * What is kept and told of a decision: who opened it, what about, who won, why. Its value stays with the agents that decided: it may
 * say what concerns nobody else; the digest lets whoever has it prove that it was this one.
 */
import { createHash } from 'node:crypto'
import type { AuditEntry } from '../../observe/audit-chain.ts'
import { type DecisionEvent, decideLimits } from '../../wire/decide.ts'
import type { DecisionRecord } from './decisions.ts'

/** The line of the audit log. */
export function entryOf(record: DecisionRecord): AuditEntry {
  const { value } = record
  const digest =
    value === undefined ? {} : { value: createHash('sha256').update(JSON.stringify(value)).digest('hex') }
  const { decision, kind, members, winner, price, ...rest } = eventOf(record)
  return {
    ...{ kind: 'joint-decision', id: decision, by: kind, ...rest, members: record.members },
    ...(winner !== undefined && { winner }),
    ...(price !== undefined && { price }),
    ...digest,
  }
}

/** What people are told, on `<base>/<device>/event/decision`. */
export function eventOf({ id, kind, ...record }: DecisionRecord): DecisionEvent {
  const { subject, opener, members, quorum, decided, winner, price, notes, atMs } = record
  const reason = record.reason.slice(0, decideLimits.outcomeCharsMax)
  return {
    ...{ decision: id, kind, subject, opener, members: members.length, quorum, decided, reason, atMs },
    ...(winner !== undefined && { winner }),
    ...(price !== undefined && { price }),
    notes: notes.slice(0, decideLimits.notesMax).map((note) => note.slice(0, decideLimits.reasonCharsMax)),
  }
}
