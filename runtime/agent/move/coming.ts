/**
 * Agents that are coming in pieces: each is put in its place and hashed as it comes, so that nothing is left to be done with the whole
 * when the last one is there. [move-5] Few at a time, none larger than was said, each forgotten where nothing new of it comes; a piece
 * that is here already is acknowledged and costs no more than that.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Cancel, Clock } from '../../base/clock.ts'
import { type MoveBody, moveLimits } from '../../wire/move.ts'
import type { Leaving } from './leaving.ts'

type Chunk = Extract<MoveBody, { kind: 'chunk' }>

/** What has come of one, from its first piece on. */
interface Pieces {
  readonly of: number
  readonly sha256: string
  /** Room for all of them; what is not written takes no memory. */
  readonly bytes: Buffer
  readonly here: Set<number>
  readonly hash: Hash
  /** Pieces that are hashed: all up to here have come. */
  hashed: number
  lastBytes: number
}

interface Expected {
  readonly from: string
  /** The question that it came with: asked again, it is answered the same. */
  readonly n: string
  readonly leaving: Leaving
  pieces: Pieces | undefined
  over: Cancel
}

export interface Whole {
  readonly bytes: Uint8Array
  readonly leaving: Leaving
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
    const expected: Expected = { from, n, leaving, pieces: undefined, over: () => {} }
    this.#expected.set(fresh, expected)
    this.#watch(fresh, expected)
    return fresh
  }

  /** `unknown`: a piece of nothing that is expected, any more. The whole, with the piece that makes it so. */
  take(from: string, chunk: Chunk): 'unknown' | 'taken' | Whole {
    const { id, at, of, sha256 } = chunk
    const expected = this.#expected.get(id)
    if (!expected || expected.from !== from || at >= of) return 'unknown'
    expected.pieces ??= piecesOf(of, sha256)
    const { pieces, leaving } = expected
    if (pieces.of !== of || pieces.sha256 !== sha256) return 'unknown'
    if (pieces.here.has(at)) return 'taken'
    if (!put(pieces, chunk)) return 'unknown'
    this.#watch(id, expected)
    if (pieces.hashed < of) return 'taken'
    this.forget(id)
    if (pieces.hash.digest('hex') !== sha256) return 'unknown'
    const length = (of - 1) * moveLimits.chunkBytes + pieces.lastBytes
    return { bytes: pieces.bytes.subarray(0, length), leaving }
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

function piecesOf(of: number, sha256: string): Pieces {
  const bytes = Buffer.allocUnsafeSlow(of * moveLimits.chunkBytes)
  return { of, sha256, bytes, here: new Set(), hash: createHash('sha256'), hashed: 0, lastBytes: 0 }
}

/** False where it is too short or too long: all but the last are of one size. */
function put(pieces: Pieces, { at, of, part }: Chunk): boolean {
  const { chunkBytes } = moveLimits
  const { bytes, here, hash } = pieces
  const piece = Buffer.from(part, 'base64')
  const isLast = at === of - 1
  if (piece.byteLength > chunkBytes || piece.byteLength === 0) return false
  if (!isLast && piece.byteLength < chunkBytes) return false
  piece.copy(bytes, at * chunkBytes)
  here.add(at)
  if (isLast) pieces.lastBytes = piece.byteLength
  while (here.has(pieces.hashed)) {
    const begin = pieces.hashed * chunkBytes
    const length = pieces.hashed === of - 1 ? pieces.lastBytes : chunkBytes
    hash.update(bytes.subarray(begin, begin + length))
    pieces.hashed += 1
  }
  return true
}
