/**
 * Latched faults on disk: `faults.json` in the safety directory.
 *
 * Invariants: [safety-4] what `save` has resolved for is there after a power loss; a file that cannot be read, or that
 * somebody changed, is a `start-up` fault over every part and never an empty list. Only a missing file is empty: it is
 * that of a device that never had one.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fault, FaultCause } from '../contract/safety.ts'
import { writeDurably } from './durable-file.ts'

const causes: ReadonlySet<string> = new Set<FaultCause>([
  'read-back',
  'write-failed',
  'emergency-stop',
  'conflict-monitor',
  'stall',
  'start-up',
])

/** Far more than there are parts; a larger file is not ours. */
const bytesMax = 1024 * 1024

export class FaultsStore {
  readonly #path: string
  /** One write at a time; of those that wait only the newest is written. */
  #writing: Promise<void> | undefined
  #next: { readonly faults: readonly Fault[]; readonly done: Promise<void> } | undefined

  constructor(safetyDir: string) {
    this.#path = join(safetyDir, 'faults.json')
  }

  /** Never throws: what cannot be read becomes a fault. */
  async load(components: readonly string[], nowMs: number): Promise<readonly Fault[]> {
    try {
      return parse(await readFile(this.#path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      const message = `${this.#path} cannot be read (${reason(error)}): faults of earlier runs may be unknown; look at the machine before you clear this`
      return [{ id: 'start-up-faults-file', cause: 'start-up', components, message, atMs: nowMs }]
    }
  }

  /** Resolves when these faults, or newer ones, are on the disk. */
  save(faults: readonly Fault[]): Promise<void> {
    if (this.#next) {
      this.#next = { faults, done: this.#next.done }
      return this.#next.done
    }
    const done = (this.#writing ?? Promise.resolve()).catch(() => {}).then(() => this.#write())
    this.#next = { faults, done }
    return done
  }

  async #write(): Promise<void> {
    const faults = this.#next?.faults ?? []
    this.#next = undefined
    this.#writing = writeDurably(this.#path, format(faults))
    await this.#writing
  }
}

function format(faults: readonly Fault[]): string {
  return `${JSON.stringify({ version: 1, sha256: digest(faults), faults })}\n`
}

const digest = (faults: unknown) => createHash('sha256').update(JSON.stringify(faults)).digest('hex')

function parse(bytes: Buffer): readonly Fault[] {
  if (bytes.length > bytesMax) throw new Error(`${bytes.length} bytes are more than ${bytesMax}`)
  const { version, sha256, faults } = JSON.parse(bytes.toString('utf8')) ?? {}
  if (version !== 1) throw new Error(`version ${version} is not known`)
  if (!Array.isArray(faults) || !faults.every(isFault)) throw new Error('it holds no list of faults')
  if (sha256 !== digest(faults)) throw new Error('its digest is not that of its faults')
  return faults
}

function isFault(value: unknown): value is Fault {
  const { id, cause, components, message, atMs } = (value ?? {}) as Record<string, unknown>
  const texts = [id, cause, message].every((text) => typeof text === 'string')
  const parts = Array.isArray(components) && components.every((part) => typeof part === 'string')
  return texts && parts && causes.has(String(cause)) && typeof atMs === 'number'
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error))
