/**
 * How often each person's PIN was guessed wrongly, on the disk: a restart gives nobody new guesses. One small file in the device's state
 * directory, replaced whole, no larger than the people of the configuration are many.
 *
 * Invariants: [people-4] a guess is counted on the disk before it is looked at; a file that nobody can read counts as one guess left; a new
 * PIN begins anew.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { writeDurably } from '../../base/durable-file.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const guessed = v.object({
  /** Digest of the PIN's hash, so that one that was changed is not held against who has it now. */
  pin: v.string(),
  wrong: count,
  /** Until when it is refused, by the clock on the wall, milliseconds since the Unix epoch. */
  untilMs: v.pipe(v.number(), v.finite()),
})
const file = v.object({ v: v.literal(1), people: v.record(v.string(), guessed) })

interface Guessed {
  readonly wrong: number
  readonly untilMs: number
}

interface PinGuessesOptions {
  readonly stateDir: string
  /** As they are configured; of others nothing is kept. */
  readonly people: readonly { readonly name: string; readonly pin: string }[]
  /** What is kept of each where nobody can read what is kept. */
  readonly unreadable: Guessed
}

export class PinGuesses {
  readonly #path: string
  readonly #log: Log
  readonly #options: PinGuessesOptions
  #people: Map<string, v.InferOutput<typeof guessed>> | undefined

  constructor(log: Log, options: PinGuessesOptions) {
    this.#path = join(options.stateDir, 'pin-guesses.json')
    this.#log = log
    this.#options = options
  }

  /** `pin`: its hash, as it is configured. */
  of(name: string, pin: string): Guessed {
    const kept = this.#read().get(name)
    return kept?.pin === digestOf(pin) ? kept : { wrong: 0, untilMs: 0 }
  }

  /** On the disk when it settles. One at a time. Throws where the disk takes nothing. */
  async keep(name: string, pin: string, { wrong, untilMs }: Guessed): Promise<void> {
    const people = this.#read().set(name, { pin: digestOf(pin), wrong, untilMs })
    await writeDurably(this.#path, JSON.stringify({ v: 1, people: Object.fromEntries(people) }))
  }

  #read(): Map<string, v.InferOutput<typeof guessed>> {
    this.#people ??= this.#fromDisk()
    return this.#people
  }

  #fromDisk(): Map<string, v.InferOutput<typeof guessed>> {
    const { people: configured, unreadable } = this.#options
    try {
      const { people } = v.parse(file, JSON.parse(readFileSync(this.#path, 'utf8')))
      return new Map(Object.entries(people).filter(([name]) => configured.some((one) => one.name === name)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
      this.#log.error('how often PINs were guessed cannot be read: each has one guess left', {
        reason: messageOf(error),
      })
      // All of them: the next write replaces the file, and nobody's guesses are new after that.
      return new Map(configured.map(({ name, pin }) => [name, { pin: digestOf(pin), ...unreadable }]))
    }
  }
}

const digestOf = (pin: string) => createHash('sha256').update(pin).digest('hex')
