/**
 * What an agent asks before it goes by a sensor: whether it says anything, and whether that is not long ago. Sensors report once a day at
 * least, also where nothing changes; one that has been quiet for longer is taken as silent, whatever it said last.
 */
import type { Context, Telemetry } from '../agent/contract.ts'

export const silentMs = 26 * 60 * 60_000

/** What a thing says; undefined where that is nothing. Throws `permission`: who may not ask is to say so. */
export async function heard(ctx: Context, id: string): Promise<Telemetry | undefined> {
  try {
    const seen = await ctx.entity(id).read()
    return isSilent(seen) ? undefined : seen
  } catch (error) {
    if ((error as { readonly code?: string }).code === 'permission') throw error
    return undefined
  }
}

export function isSilent({ state, tsMs }: Pick<Telemetry, 'state' | 'tsMs'>): boolean {
  return ['', 'unavailable', 'unknown'].includes(state.trim()) || Date.now() - tsMs > silentMs
}

/** Undefined where it is none. */
export function numberOf(seen: Telemetry | undefined): number | undefined {
  const number = seen && seen.state.trim() !== '' ? Number(seen.state) : Number.NaN
  return Number.isFinite(number) ? number : undefined
}
