/**
 * An agent is stopped between two turns, and goes on from there when resumed. It may be an emergency: it does nothing any more also where
 * the disk does not take that it was stopped [agents-9]; then who asked is told that it goes on when the device starts again.
 */
import { type AgentStore, type StoredAgent, StoreError } from './store/agent-store.ts'

export const stoppedAfter = 'a person stopped it; before, it had failed: '

export interface StoppingDeps {
  readonly store: AgentStore
  /** Settles when nothing of its life is under way. */
  readonly gone: (name: string) => Promise<void>
  /** Those that failed and are about to begin anew. */
  readonly restarts: { has(name: string): boolean; forget(name: string): void }
}

/** Throws StoreError: it does nothing any more, and that is not on the disk. */
export async function stopped({ store, gone, restarts }: StoppingDeps, stored: StoredAgent): Promise<void> {
  const { name } = stored
  try {
    if (stored.state === 'running') store.setState(name, 'stopped', 'a person stopped it')
    await gone(name)
    if (restarts.has(name)) store.setState(name, 'stopped', `${stoppedAfter}${store.agent(name)?.reason}`)
    await store.durable()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const line = `${name} does nothing any more, and goes on when the device starts again: ${error.message}, then stop it again`
    throw new StoreError(error.code, line, { retryable: error.retryable, cause: error })
  } finally {
    await gone(name)
    restarts.forget(name)
  }
}
