/**
 * Performs `board.*`. A writing that was under way when the device stopped is looked up by its call first: on this device's disk and on
 * the board. A comparison that was cut off and now finds something else is `uncertain`: it may have been set before that.
 */
import * as v from 'valibot'
import { boardKey, boardLimits } from '../../wire/board.ts'
import { check } from '../../wire/messages.ts'
import type { Json } from '../contract.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import { type Board, BoardError } from './board.ts'

const ttlMs = v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(boardLimits.ttlMsMax)))
const version = v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)))
const setArgs = v.object({ key: boardKey, value: v.unknown(), version, ttlMs })
const keyArgs = v.object({ key: boardKey })
const watchArgs = v.object({ pattern: v.pipe(v.string(), v.minLength(1), v.maxLength(100)) })

/** Who watches and was too slow for all of it is told all again after this. */
const againMs = 1_000

export function boardService({
  board,
  after,
}: {
  readonly board: Board
  readonly after: (delayMs: number, work: () => void) => () => void
}): Service {
  return {
    ops: ['board.get', 'board.set', 'board.delete', 'board.watch'],
    async perform(performing: Performing, signal: AbortSignal): Promise<Outcome> {
      const { call } = performing
      try {
        if (call.op === 'board.watch') return await watch(board, after, performing, signal)
        if (call.op === 'board.set') return await set(board, performing, signal)
        const args = check(keyArgs, call.args)
        if (!args.ok) return failed('bad-request', args.reason)
        const { key } = args.value
        if (call.op === 'board.get') return { ok: true, value: asJson(board.get(key)), privacy: 'site' }
        const by = callOf(performing)
        if (!(performing.resumed && board.writtenBy(key, by))) await board.set(key, undefined, { by })
        return { ok: true }
      } catch (error) {
        if (signal.aborted) return failed('cancelled', `${call.op}: nobody waits for it any more`)
        if (error instanceof BoardError) return failed(error.code, error.message)
        throw error
      }
    },
  }
}

async function set(board: Board, performing: Performing, signal: AbortSignal): Promise<Outcome> {
  const args = check(setArgs, performing.call.args)
  if (!args.ok) return failed('bad-request', args.reason)
  const { key, value, version: expected, ttlMs: lasts } = args.value
  if (value === undefined) return failed('bad-request', 'value: is missing')
  const by = callOf(performing)
  const written = performing.resumed ? board.writtenBy(key, by) : undefined
  if (written) return { ok: true, value: asJson(written) }
  const writing = { by, ...(lasts !== undefined && { ttlMs: Math.floor(lasts) }) }
  if (expected === undefined) return { ok: true, value: asJson(await board.set(key, value, writing)) }
  try {
    return { ok: true, value: asJson(await board.compareAndSet(key, expected, value, writing, signal)) }
  } catch (error) {
    if (!(performing.resumed && error instanceof BoardError && error.code === 'conflict')) throw error
    return failed('uncertain', `${error.message}; before that it may have been set, as the device stopped`)
  }
}

/** Ends when the agent no longer waits. Of a key that changes faster than the agent takes it the latest is kept. */
function watch(
  board: Board,
  after: (delayMs: number, work: () => void) => () => void,
  { call, emit }: Performing,
  signal: AbortSignal,
): Promise<Outcome> {
  const args = check(watchArgs, call.args)
  if (!args.ok) return Promise.resolve(failed('bad-request', args.reason))
  const { pattern } = args.value
  return new Promise((resolve) => {
    let cancelAgain: (() => void) | undefined
    const tell: Parameters<Board['watch']>[1] = (seen) => {
      if (emit(asJson(seen), seen.key)) return
      cancelAgain ??= after(againMs, () => {
        cancelAgain = undefined
        stop()
        stop = board.watch(pattern, tell)
      })
    }
    let stop = () => {}
    stop = board.watch(pattern, tell)
    const left = () => {
      stop()
      cancelAgain?.()
      resolve(failed('cancelled', 'board.watch: nobody waits for it any more'))
    }
    if (signal.aborted) left()
    else signal.addEventListener('abort', left, { once: true })
  })
}

/** The same after a crash and after a move; of no other call. */
function callOf({ caller, call, askedMs }: Performing): string {
  return `${caller.agent} ${call.id} ${askedMs}`
}

const asJson = (fact: object | undefined) =>
  (fact === undefined ? undefined : (fact as unknown as Json)) as Json
