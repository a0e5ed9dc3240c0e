/**
 * Calls of a machine: what it asks of the host, and the table of promises and streams that wait for answers. It runs inside the
 * machine, before the agent.
 *
 * Each call is made in a scope. When a scope ends, what waits in it and in those inside it is rejected with `cancelled`, the host
 * is told that nobody waits any more, and no call is made in it again.
 */
import type { Call, CallOp, TurnOutput } from '../turn.ts'
import { CallFailed, failure, shapes, textOf, wrongOf } from './guest-checks.ts'

const { parse, stringify } = JSON
const { create, keys } = Object
/** As `turnLimits` has them: this file imports nothing, and a test holds the two together. */
const limits = { callsMax: 256, openCallsMax: 1_024, argsBytesMax: 64 * 1024 }

export interface Scope {
  readonly parent: Scope | undefined
  /** Why it has ended. */
  over: Cancelled | undefined
}

interface Open {
  readonly scope: Scope
  push(value: unknown): void
  end(error: unknown, value?: unknown): void
}

/** With this a call is rejected whose scope has ended. Whoever ended it knows: where nobody catches it, nothing is lost. */
export class Cancelled extends CallFailed {
  constructor(message: string) {
    super({ code: 'cancelled', message })
  }
}

const open: Record<number, Open> = create(null)
/** In place of an item: no more come. */
const ended = {}
let nextId = 0
let openCalls = 0
let calls: Call[] = []
let cancels: number[] = []

/** Of the program as a whole: it ends with it. */
export const root: Scope = { parent: undefined, over: undefined }
export const scopeIn = (parent: Scope): Scope => ({ parent, over: undefined })

/** Throws `Cancelled` where the scope, or one that it is in, has ended. */
export function refuseOver(scope: Scope): void {
  for (let at: Scope | undefined = scope; at; at = at.parent) if (at.over) throw at.over
}

/** Ends a scope, once. */
export function endScope(scope: Scope, why: string): void {
  if (scope.over) return
  const error = new Cancelled(why)
  scope.over = error
  for (const key of keys(open)) {
    const id = +key
    const one = open[id]
    if (!one || !isWithin(one.scope, scope)) continue
    leave(id)
    one.end(error)
  }
}

function isWithin(inner: Scope, outer: Scope): boolean {
  for (let at: Scope | undefined = inner; at; at = at.parent) if (at === outer) return true
  return false
}

/** Asks the host; the promise settles in a later turn, of this machine or of one restored from its image. */
export async function call(scope: Scope, op: CallOp, argsOf: () => object): Promise<never> {
  const id = ask(scope, op, argsOf)
  return new Promise((resolve, reject) => {
    const end: Open['end'] = (error, value) => (error === undefined ? resolve(value as never) : reject(error))
    open[id] = { scope, push() {}, end }
  })
}

/** Puts a call into the turn's output. What it was is an error where it was written, long before the host refuses it. */
function ask(scope: Scope, op: CallOp, argsOf: () => object, stream?: true): number {
  refuseOver(scope)
  const args = argsOf()
  if (calls.length >= limits.callsMax || openCalls >= limits.openCallsMax)
    throw failure('limit', `${op}: too many calls wait for an answer already`)
  const json = jsonOf(op, args)
  if (json.length > limits.argsBytesMax)
    throw failure(
      'limit',
      `${op} was given ${json.length} bytes, more than the ${limits.argsBytesMax} allowed`,
    )
  const kept = parse(json)
  const wrong = wrongOf(kept, shapes[op])
  if (wrong !== undefined) throw failure('bad-request', `${op}: ${wrong}`)
  nextId += 1
  openCalls += 1
  calls[calls.length] = { id: nextId, op, args: kept, ...(stream ? { stream } : {}) }
  return nextId
}

/** Arguments as JSON keeps them: what is undefined is left out, what JSON cannot say is an error. */
function jsonOf(op: CallOp, args: object): string {
  try {
    return stringify(args)
  } catch (error) {
    throw failure('bad-request', `${op} takes what JSON can say: ${textOf(error)}`)
  }
}

/** Nobody waits for it any more. What was asked for in this very turn never was. */
function leave(id: number): void {
  delete open[id]
  openCalls -= 1
  const before = calls
  calls = []
  for (let at = 0; at < before.length; at += 1) {
    const one = before[at] as Call
    if (one.id !== id) calls[calls.length] = one
  }
  if (calls.length === before.length) cancels[cancels.length] = id
}

/** A stream of items. What arrives while nobody waits is kept in order; the host bounds how much. */
export async function* stream(
  scope: Scope,
  op: CallOp,
  argsOf: () => object,
): AsyncGenerator<never, void, undefined> {
  const id = ask(scope, op, argsOf, true)
  let items: unknown[] = []
  let wake: { resolve(value: unknown): void; reject(error: unknown): void } | undefined
  let over: { error: unknown } | undefined
  open[id] = {
    scope,
    push(value) {
      if (!wake) {
        items[items.length] = value
        return
      }
      const { resolve } = wake
      wake = undefined
      resolve(value)
    },
    end(error) {
      over = { error }
      if (error === undefined) wake?.resolve(ended)
      else wake?.reject(error)
    },
  }
  try {
    while (true) {
      refuseOver(scope)
      if (items.length > 0) {
        const [first, ...rest] = items
        items = rest
        yield first as never
      } else if (over) {
        if (over.error === undefined) return
        throw over.error
      } else {
        const next = await new Promise((resolve, reject) => {
          wake = { resolve, reject }
        })
        if (next === ended) return
        yield next as never
      }
    }
  } finally {
    if (open[id]) leave(id)
  }
}

export function item(id: number, value: unknown): void {
  open[id]?.push(value)
}

export function settle(id: number, error: unknown, value: unknown): void {
  const one = open[id]
  if (!one) return
  delete open[id]
  openCalls -= 1
  one.end(error, value)
}

/** What was asked for and left since this was last called. */
export function drained(): Pick<TurnOutput, 'calls' | 'cancels'> {
  const output = { calls, cancels }
  calls = []
  cancels = []
  return output
}
