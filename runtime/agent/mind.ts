/** What agents remember, think and say to each other: opened with the agents of a device, closed after them. */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { parseJson } from '../wire/messages.ts'
import type { CallsAcross } from './calling/across.ts'
import { Calling, type CallingDeps } from './calling/calling.service.ts'
import { type PackedMemory, packedMemory, withoutPerson } from './memory/carry.ts'
import { embedWith } from './memory/embedding.ts'
import { personOf } from './memory/limits.ts'
import { memoryService } from './memory/memory.service.ts'
import { MemoryStore } from './memory/memory-store.ts'
import type { Belongings } from './move/leaving.ts'
import type { Service } from './service.ts'
import { type ChatModels, chatBy } from './think/chat.ts'
import { type ThinkServiceDeps, thinkService } from './think/think.service.ts'
import type { OutsideTools } from './think/tools.ts'

/** More than the limits of `memory/` let an agent have, with all that JSON adds. */
const packedBytesMax = 24 * 1024 * 1024

export interface MindDeps {
  readonly clock: Clock
  readonly log: Log
  /** The device's router. */
  readonly models: ChatModels
  /** Decides about and performs a call as the agent's own. */
  readonly perform: ThinkServiceDeps['perform']
  /** Tools that servers of this device's configuration offer. */
  readonly outside?: OutsideTools | undefined
  /** Whether an agent of this name runs on this device. */
  readonly runs: (agent: string) => boolean
  /** Calls to and from agents of other devices. */
  readonly across?: CallsAcross | undefined
  readonly home?: CallingDeps['home']
}

/** What agents take along that move is what they remember. */
export interface Mind extends AsyncDisposable, Omit<Belongings, 'adopt'> {
  readonly services: readonly Service[]
  readonly calling: Pick<Calling, 'hand'>
  /** Erases all that an agent remembers; on the disk when it resolves. Throws StoreError. */
  remove(agent: string): Promise<void>
  /** Erases what all of them remember about a person; how many things went. On the disk when it resolves. */
  forget(about: string): Promise<number>
}

/** Throws where the disk cannot be used. */
export async function openMind(
  { clock, log, models, perform, outside, runs, across, home }: MindDeps,
  directory: string,
): Promise<Mind> {
  const { store, recoveredFrom } = await MemoryStore.open(directory, clock.nowMs())
  if (recoveredFrom)
    log.error('what agents remember could not be read: it was put aside, and they begin with nothing', {
      recoveredFrom,
    })
  const calling = new Calling({ clock, store, runs, across, home })
  return {
    calling,
    services: [
      memoryService({ clock, store, embed: embedWith(models) }),
      thinkService({ clock, chat: chatBy(models), store, perform, outside }),
      ...calling.services,
    ],
    async remove(agent) {
      await store.remove(agent)
      await store.durable()
    },
    async forget(about) {
      const went = await store.forgetEverywhere(about)
      await store.durable()
      return went
    },
    pack: (agent) => bytesOf(store.pack(agent)),
    async unpack(agent, bytes) {
      await store.unpack(agent, packedOf(agent, bytes))
      await store.durable()
    },
    check: (agent, bytes) => void packedOf(agent, bytes),
    without(agent, bytes, about) {
      const { packed, erased } = withoutPerson(packedOf(agent, bytes), personOf(about))
      return { bytes: bytesOf(packed), erased }
    },
    [Symbol.asyncDispose]: () => {
      calling[Symbol.dispose]()
      return store[Symbol.asyncDispose]()
    },
  }
}

const bytesOf = (packed: PackedMemory) => Buffer.from(JSON.stringify(packed))

function packedOf(agent: string, bytes: Uint8Array): PackedMemory {
  const packed = parseJson(packedMemory, bytes, packedBytesMax)
  if (!packed.ok) throw new Error(`what ${agent} remembers did not arrive: ${packed.reason}`)
  return packed.value
}
