/** Asks a person yes or no at the terminal; whoever says nothing has said no. */
import { createInterface } from 'node:readline/promises'
import { UsageError } from '../base/errors.ts'

interface Streams {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream
}

/** Throws UsageError where there is no terminal: `instead` says what to do then. */
export async function confirm(
  question: string,
  instead: string,
  signal: AbortSignal,
  { stdin, stderr }: Streams = process,
): Promise<boolean> {
  if (!stdin.isTTY) throw new UsageError(`there is no terminal to ask at: ${instead}`)
  const lines = createInterface({ input: stdin, output: stderr })
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), closed])
    return /^\s*y(es)?\s*$/i.test(answer)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    lines.close()
  }
}
