/** What every service does first and last: holds the arguments against their schema, and says `cancelled` when it was left. */
import type * as v from 'valibot'
import { check } from '../../wire/messages.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import type { CallOp } from '../turn.ts'

const reasonCharsMax = 300

/**
 * A service of one op. Arguments that are not as `schema` says are a `bad-request` in one line; `work` never sees them. `missing` is how
 * a call ends whose thing is not there.
 */
export function checkedService<T>(
  op: CallOp,
  schema: v.GenericSchema<unknown, T>,
  work: (args: T, performing: Performing, signal: AbortSignal) => Promise<Outcome>,
  missing: (args: T, signal: AbortSignal) => Promise<Outcome | undefined> = async () => undefined,
): Service {
  return {
    ops: [op],
    async refuses({ args: given }, signal) {
      const args = check(schema, given)
      if (!args.ok) return badRequest(op, args.reason)
      try {
        return await missing(args.value, signal)
      } catch (error) {
        if (signal.aborted) return cancelled(op)
        throw error
      }
    },
    async perform(performing, signal) {
      if (signal.aborted) return cancelled(op)
      const args = check(schema, performing.call.args)
      if (!args.ok) return badRequest(op, args.reason)
      try {
        return await work(args.value, performing, signal)
      } catch (error) {
        if (signal.aborted) return cancelled(op)
        throw error
      }
    },
  }
}

export const badRequest = (op: CallOp, reason: string) => failed('bad-request', inOneLine(`${op}: ${reason}`))
export const cancelled = (op: CallOp) => failed('cancelled', `${op}: nobody waits for it any more`)

export function inOneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ')
  return line.length > reasonCharsMax ? `${line.slice(0, reasonCharsMax)}…` : line
}
