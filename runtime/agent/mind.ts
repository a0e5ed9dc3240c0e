/** What agents remember, think and say to each other: opened with the agents of a device, closed after them. */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { callingServices } from './calling/calling.service.ts'
import { embedWith } from './memory/embedding.ts'
import { memoryService } from './memory/memory.service.ts'
import { MemoryStore } from './memory/memory-store.ts'
import type { Service } from './service.ts'
import { type ChatModels, chatBy } from './think/chat.ts'
import { type ThinkServiceDeps, thinkService } from './think/think.service.ts'

export interface MindDeps {
  readonly clock: Clock
  readonly log: Log
  /** The device's router. */
  readonly models: ChatModels
  /** Decides about and performs a call as the agent's own. */
  readonly perform: ThinkServiceDeps['perform']
  /** Whether an agent of this name runs on this device. */
  readonly runs: (agent: string) => boolean
}

export interface Mind extends AsyncDisposable {
  readonly services: readonly Service[]
  /** Erases all that an agent remembers. */
  remove(agent: string): void
}

/** Throws where the disk cannot be used. */
export async function openMind(
  { clock, log, models, perform, runs }: MindDeps,
  directory: string,
): Promise<Mind> {
  const { store, recoveredFrom } = await MemoryStore.open(directory, clock.nowMs())
  if (recoveredFrom)
    log.error('what agents remember could not be read: it was put aside, and they begin with nothing', {
      recoveredFrom,
    })
  return {
    services: [
      memoryService({ clock, store, embed: embedWith(models) }),
      thinkService({ clock, chat: chatBy(models), store, perform }),
      ...callingServices({ clock, store, runs }),
    ],
    remove: (agent) => store.remove(agent),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
