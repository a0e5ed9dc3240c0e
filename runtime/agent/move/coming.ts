/**
 * Agents that are coming in pieces: kept in memory until each is whole, and then handed on. [move-5] Few at a time, none larger than
 * was said, each forgotten where nothing more of it comes.
 */
import { createHash } from 'node:crypto'
import type { Cancel, Clock } from '../../base/clock.ts'
import { type MoveBody, moveLimits } from '../../wire/move.ts'
import type { Leaving } from './agent-moves.ts'

type Chunk = Extract<MoveBody, { kind: 'chunk' }>

interface Expected {
  readonly from: string
  /** The question that it came with: asked again, it is answered the same. */
  readonly n: string
  readonly leaving: Leaving
  readonly parts: Map<number, Buffer>
  of: number
  sha256: string
  over: Cancel
}

const comingMax = 4
const silentMsMax = 60_000

export class Coming implements Disposable {
  readonly #clock: Clock
  readonly #expected = new Map<string, Expected>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Why no further one can come now, in a line. */
  refusal(from: string, n: string, agent: string): string | undefined {
    const others = [...this.#expected.values()].filter((one) => one.from !== from || one.n !== n)
    // One that is asked for anew is given up.
    if (others.some((one) => one.leaving.agent === agent && one.from !== from))
      return `an agent called ${agent} comes from another device just now`
    return others.length < comingMax
      ? undefined
      : `${comingMax} agents come at this moment: try again in a minute`
  }

  /** The id under which it comes. */
  expect(from: string, n: string, leaving: Leaving, fresh: string): string {
    for (const [id, one] of this.#expected) {
      if (one.from === from && one.n === n) return id
      if (one.from === from && one.leaving.agent === leaving.agent) this.forget(id)
    }
    const expected: Expected = { from, n, leaving, parts: new Map(), of: 0, sha256: '', over: () => {} }
    this.#expected.set(fresh, expected)
    this.#watch(fresh, expected)
    return fresh
  }

  /** False where it is a piece of nothing that is expected. */
  takes(from: string, { id, at, of, sha256, part }: Chunk): boolean {
    const expected = this.#expected.get(id)
    if (!expected || expected.from !== from || at >= of) return false
    if (expected.parts.size === 0) Object.assign(expected, { of, sha256 })
    if (expected.of !== of || expected.sha256 !== sha256) return false
    const bytes = Buffer.from(part, 'base64')
    if (bytes.byteLength > moveLimits.chunkBytes) return false
    expected.parts.set(at, bytes)
    this.#watch(id, expected)
    return true
  }

  /** Once each piece is here and together they are what was said. */
  whole(id: string): { readonly bytes: Uint8Array; readonly leaving: Leaving } | undefined {
    const expected = this.#expected.get(id)
    if (!expected || expected.parts.size < expected.of) return undefined
    const { parts, of, sha256, leaving } = expected
    const bytes = Buffer.concat(Array.from({ length: of }, (_, at) => parts.get(at) ?? Buffer.alloc(0)))
    if (createHash('sha256').update(bytes).digest('hex') === sha256) return { bytes, leaving }
    parts.clear()
    return undefined
  }

  forget(id: string): void {
    this.#expected.get(id)?.over()
    this.#expected.delete(id)
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#expected.keys()]) this.forget(id)
  }

  #watch(id: string, expected: Expected): void {
    expected.over()
    expected.over = this.#clock.after(silentMsMax, () => this.#expected.delete(id))
  }
}
