/** An agent that goes out in pieces: few at a time, each until it is acknowledged, the last one until the whole is kept there. */
import type { Clock } from '../../base/clock.ts'
import { sha256 } from '../../base/sha256.ts'
import { type MoveBody, moveLimits } from '../../wire/move.ts'
import { againMs } from './answers.ts'
import { MoveError } from './package.ts'

type Chunk = Extract<MoveBody, { kind: 'chunk' }>

export interface SendingDeps {
  readonly clock: Clock
  /** Says a piece to the other device. */
  readonly say: (chunk: Omit<Chunk, 'to'>) => void
  /** Calls `hear` with each of what that device says of this move, until the returned function is called. */
  readonly hear: (hear: (body: MoveBody) => void) => () => void
}

/** Without a piece that arrives for so long, the other device counts as gone. */
const stalledMsMax = 20_000
/** Pieces on their way at a time: half a megabyte. */
const windowMax = 8

/** Resolves when `to` has it whole on its disk. Throws MoveError; rejects when `signal` aborts. */
export async function send(
  { clock, say, hear }: SendingDeps,
  { id, to, whole }: { readonly id: string; readonly to: string; readonly whole: Uint8Array },
  signal: AbortSignal,
): Promise<void> {
  const { chunkBytes } = moveLimits
  const digest = await sha256(whole)
  signal.throwIfAborted()
  const of = Math.ceil(whole.byteLength / chunkBytes)
  const left = new Set(Array.from({ length: of }, (_, at) => at))
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let lastMs = clock.monotonicMs()
  let next = 0
  const piece = (at: number) => {
    const part = Buffer.from(whole.subarray(at * chunkBytes, (at + 1) * chunkBytes)).toString('base64')
    say({ kind: 'chunk', id, at, of, sha256: digest, part })
  }
  const more = () => {
    while (next < of && next - (of - left.size) < windowMax) {
      piece(next)
      next += 1
    }
  }
  // The last piece is said again until the whole is kept.
  const again = () => {
    if (clock.monotonicMs() - lastMs > stalledMsMax)
      reject(new MoveError('failed', `${to} has not answered for ${stalledMsMax / 1000} s`))
    const missing = [...left].filter((at) => at < next).slice(0, windowMax)
    for (const at of missing.length > 0 ? missing : [of - 1]) piece(at)
    timer = clock.after(againMs, again)
  }
  let timer = clock.after(againMs, again)
  const unheard = hear((body) => {
    if (body.kind === 'got' && left.delete(body.at)) lastMs = clock.monotonicMs()
    if (body.kind === 'kept') resolve()
    if (body.kind === 'refused') reject(new MoveError('refused', `${to} does not take it: ${body.reason}`))
    more()
  })
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    more()
    await promise
  } finally {
    timer()
    signal.removeEventListener('abort', abort)
    unheard()
  }
}
