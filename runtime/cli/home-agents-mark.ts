/**
 * In the state of a device: that `up` has begun the agent of its simulated home there, and whether a start of another home has stopped
 * it since. A file of its own: a start without such agents reads it, and loads nothing else of theirs.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurablySync } from '../base/durable-file.ts'

/** `held`: stopped because the home with its rooms was not there. */
export type HomeAgentsMark = 'begun' | 'held'

const words: Readonly<Record<HomeAgentsMark, string>> = {
  begun: 'begun by "ganglion up": what became of it is left as it is\n',
  held: 'held by "ganglion up": it goes on when its home is back\n',
}
const pathIn = (keeps: string) => join(keeps, 'home-agents')

export function markIn(keeps: string): HomeAgentsMark | undefined {
  try {
    return readFileSync(pathIn(keeps), 'utf8') === words.held ? 'held' : 'begun'
  } catch {
    return undefined
  }
}

/** A disk that does not take it is no reason not to run: the next start sees the agent itself. */
export function mark(keeps: string, as: HomeAgentsMark): void {
  try {
    if (markIn(keeps) !== as) writeDurablySync(pathIn(keeps), words[as])
  } catch {
    // As said.
  }
}
