/**
 * All that an agent left goes: what it remembers, its recorded runs, what the store has of it. That it is to go is on the disk before
 * (`store/removals.ts`), and each step can be done twice: where the power was cut or the disk was full midway, the next try or the next
 * start of the device carries it through.
 */
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Recordings } from './replay/recordings.ts'
import { type AgentStore, StoreError } from './store/agent-store.ts'

export interface RemovingDeps {
  readonly store: AgentStore
  readonly recordings?: Recordings | undefined
  /** Erases what it left elsewhere; on the disk when it resolves. Throws StoreError. */
  readonly removed?: ((agent: string) => Promise<void>) | undefined
}

/** Throws StoreError `full`: what to do then. */
export async function carryOff({ store, recordings, removed }: RemovingDeps, name: string): Promise<void> {
  try {
    await removed?.(name)
    if (store.removals.of(name)?.runs) await recordings?.forget(name)
    await store.remove(name)
    await store.durable()
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'full') throw error
    const again = `then say "ganglion agent remove ${name}" again, or start the device again`
    const line = `${name} is removed, and not yet all that it left: ${error.message}, ${again}`
    throw new StoreError('full', line, { retryable: true, cause: error })
  }
}

/** What was not carried through when the device ended. Never throws. */
export async function carryOffAll(deps: RemovingDeps, log: Log): Promise<void> {
  for (const { agent } of deps.store.removals.all())
    await carryOff(deps, agent).catch((error) => {
      log.warn('not all that a removed agent left is gone', { agent, reason: messageOf(error) })
    })
  const agents = deps.store.agents().filter(({ state }) => state === 'arriving' || state === 'standby')
  await deps.recordings?.keepOnly(new Set(agents.map(({ name }) => name))).catch((error) => {
    log.warn('what came along with agents that are not here is not gone', { reason: messageOf(error) })
  })
}
