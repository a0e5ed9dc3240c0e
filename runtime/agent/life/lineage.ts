/**
 * Which beginning of an agent a copy goes back to: the same on every device that it was carried to. Copies of one beginning are told
 * apart by their tokens, of which the highest counts; two agents of one name that were begun on two devices are no copies of each other.
 */
import { createHash } from 'node:crypto'

export function lineageOf({
  name,
  seed,
  startedMs,
}: {
  readonly name: string
  readonly seed: number
  readonly startedMs: number
}): string {
  return createHash('sha256').update(`${name} ${seed} ${startedMs}`).digest('hex').slice(0, 16)
}
