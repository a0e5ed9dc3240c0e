/**
 * Calls of a machine: what it asks of the host, and the table of promises and streams that wait for answers. It runs inside the
 * machine, before the agent.
 *
 * Each call is made in a scope. When a scope ends, what waits in it and in those inside it is rejected with `cancelled`, the host
 * is told that nobody waits any more, and no call is made in it again. How urgent a scope is, each call in it says.
 */
import type { Priority } from '../contract.ts'
import type { Call, CallOp, TurnOutput, Urgency } from '../turn.ts'
import { CallFailed, failure, lowest, shapes, textOf, wrongOf } from './guest-checks.ts'

const { parse, stringify } = JSON
const { create, keys } = Object
/** As `turnLimits` has them: this file imports nothing, and a test holds the two together. */
const limits = { callsMax: 256, openCallsMax: 1_024, argsBytesMax: 64 * 1024 }

export interface Scope {
  readonly parent: Scope | undefined
  /** Never more than that of what it is in. */
  urgency: Urgency | undefined
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

interface Deadline {
  readonly scope: Scope
  readonly atMs: number
  late(error: unknown): void
}
let deadlines: Deadline[] = []
/** One call tells of all of them, at the earliest: each of its own would leave the program half of the calls of a turn. */
let alarm: { readonly id: number; readonly atMs: number } | undefined

/** Of the program as a whole: it ends with it. */
export const root: Scope = { parent: undefined, urgency: undefined, over: undefined }
export const scopeIn = (parent: Scope): Scope => ({ parent, urgency: parent.urgency, over: undefined })

/** What is asked for in it from now on is wanted by then, and is no more urgent than this. */
export function urge(scope: Scope, priority: Priority | undefined, dueMs: number | undefined): void {
  const least = lowest(priority, scope.urgency?.priority)
  const soonest = earliest(dueMs, scope.urgency?.dueMs)
  if (least === undefined && soonest === undefined) return
  scope.urgency = {
    ...(least === undefined ? {} : { priority: least }),
    ...(soonest === undefined ? {} : { dueMs: soonest }),
  }
}

function earliest(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one < other ? one : other
}

/** Throws `Cancelled` where the scope, or one that it is in, has ended. */
export function refuseOver(scope: Scope): void {
  const over = overOf(scope)
  if (over) throw over
}

function overOf(scope: Scope): Cancelled | undefined {
  for (let at: Scope | undefined = scope; at; at = at.parent) if (at.over) return at.over
  return undefined
}

/**
 * `late` is called when the instant is there, without an error, or when nothing can tell of it, with why. Not when the scope has ended,
 * nor when it was taken back, by what this gives. Throws `limit`.
 */
export function deadlineIn(scope: Scope, atMs: number, late: Deadline['late']): () => void {
  if (!alarm && deadlines.length === 0 && openCalls >= limits.openCallsMax)
    throw failure('limit', 'within: too many calls wait for an answer already')
  const one = { scope, atMs, late }
  deadlines[deadlines.length] = one
  return () => dropDeadlines((other) => other === one)
}

function dropDeadlines(goes: (one: Deadline) => boolean): Deadline[] {
  const before = deadlines
  const gone: Deadline[] = []
  deadlines = []
  for (let at = 0; at < before.length; at += 1) {
    const one = before[at] as Deadline
    if (goes(one)) gone[gone.length] = one
    else deadlines[deadlines.length] = one
  }
  return gone
}

/** At the end of a turn the alarm is set to the earliest deadline that there is then. */
function setAlarm(): void {
  let atMs: number | undefined
  for (let at = 0; at < deadlines.length; at += 1) atMs = earliest(atMs, deadlines[at]?.atMs)
  if (atMs === alarm?.atMs) return
  if (alarm) leave(alarm.id)
  alarm = undefined
  if (atMs === undefined) return
  nextId += 1
  openCalls += 1
  const instant = atMs
  alarm = { id: nextId, atMs: instant }
  calls[calls.length] = { id: nextId, op: 'sleep', args: { atMs: instant } }
  const end = (error: unknown) => {
    alarm = undefined
    const over = dropDeadlines((one) => one.atMs <= instant)
    // The first of them may end those inside it.
    for (let at = 0; at < over.length; at += 1) {
      const one = over[at] as Deadline
      if (!overOf(one.scope)) one.late(error)
    }
  }
  open[nextId] = { scope: root, push() {}, end }
}

/** Ends a scope, once. */
export function endScope(scope: Scope, why: string): void {
  if (scope.over) return
  const error = new Cancelled(why)
  scope.over = error
  dropDeadlines((one) => isWithin(one.scope, scope))
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
  const forAlarm = !alarm && deadlines.length > 0 ? 1 : 0
  if (calls.length >= limits.callsMax || openCalls + forAlarm >= limits.openCallsMax)
    throw failure('limit', `${op}: too many calls wait for an answer already`)
  const json = jsonOf(op, args)
  if (json.length > limits.argsBytesMax)
    throw failure(
      'limit',
      `${op} was given ${json.length} bytes, more than the ${limits.argsBytesMax} allowed`,
    )
  const given = parse(json)
  const wrong = wrongOf(given, shapes[op])
  if (wrong !== undefined) throw failure('bad-request', `${op}: ${wrong}`)
  nextId += 1
  openCalls += 1
  const { urgency } = scope
  const asked = urgency ? { ...given, urgency } : given
  calls[calls.length] = { id: nextId, op, args: asked, ...(stream ? { stream } : {}) }
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
  setAlarm()
  const output = { calls, cancels }
  calls = []
  cancels = []
  return output
}
