/**
 * Closes the water and sees to it that it is closed: that is what the meter shows, not what a valve says. Until then the valves are told
 * again, and so are people. Nothing here opens.
 */
import type { Context } from '../agent/contract.ts'
import { isMain, type Water } from './water.ts'

const minute = 60_000
/** A valve that is attached to the device forgets a program's word after ten minutes. */
const againMs = 5 * minute

export interface Closing {
  readonly ctx: Context
  readonly water: Water
  readonly look: () => Promise<void>
  readonly say: (what: string, text: string) => void
}

/** Until the valve says closed and no water runs, or people have opened it. Of what is as it was before nobody is told `again`. */
export async function shut({ ctx, water, look, say }: Closing, again: boolean): Promise<void> {
  let isKnown = again
  let wasClosed = again
  let isTried = false
  for (let waitMs = minute; ; waitMs = Math.min(2 * waitMs, 15 * minute)) {
    if (wasClosed && (await isOpen(ctx))) {
      // One that said closed while water ran, beside a wet sensor, may only tell the truth now: it is tried once more.
      if (isTried || !water.doubted || water.wet.length === 0) return
      isTried = true
    }
    const isClosed = await commanded(ctx)
    wasClosed ||= isClosed
    for (let looks = 0; looks < 6 && water.runs; looks += 1) {
      await ctx.sleep('10s')
      await look()
    }
    water.doubted = isClosed && water.runs
    if (isClosed && !water.runs) {
      if (isKnown) return
      if (water.flow !== undefined) ctx.log('the water is closed: no water runs')
      else say('closed', 'the valve says that the water is closed; no meter tells whether it is')
      return
    }
    isKnown = false
    const problem = isClosed
      ? `the valve says closed, but ${water.flow} l/min run on`
      : 'the water does not close'
    const inMin = Math.round(waitMs / minute)
    say('not-closed', `${problem}: please close it by hand. It is tried again in ${inMin} min`)
    await ctx.sleep(waitMs)
    await look()
  }
}

const mainValves = async (ctx: Context) => (await ctx.entities('valve.*')).filter(isMain)

async function commanded(ctx: Context): Promise<boolean> {
  const close = async (id: string) => {
    try {
      await ctx.entity(id).command({ state: 'closed' })
      return true
    } catch (error) {
      ctx.log(id, 'does not close:', error)
      return false
    }
  }
  const closed = await Promise.all((await mainValves(ctx)).map(close))
  return closed.length > 0 && closed.every((is) => is)
}

async function isOpen(ctx: Context): Promise<boolean> {
  const read = await Promise.all((await mainValves(ctx)).map((id) => ctx.entity(id).read()))
  return read.some(({ state }) => state === 'open')
}

/** Whether people have opened it, or do before it is to be closed again. */
export async function isOpened(ctx: Context): Promise<boolean> {
  if (await isOpen(ctx)) return true
  try {
    const valves = await mainValves(ctx)
    await Promise.race(valves.map((id) => ctx.entity(id).until({ to: 'open' }, { within: againMs })))
    return true
  } catch (error) {
    if ((error as { code?: string }).code !== 'timeout') throw error
    return false
  }
}
