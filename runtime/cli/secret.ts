/** Asks for a secret at the terminal without showing it. */
import type { ReadStream } from 'node:tty'
import { UsageError } from '../base/errors.ts'

interface Streams {
  readonly stdin: Pick<ReadStream, 'isTTY' | 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>
  readonly stderr: { write(text: string): unknown }
}

const lengthMax = 256
const enter = new Set(['\r', '\n', '\u0004'])
const erase = new Set(['\u007f', '\b'])
const interrupt = '\u0003'

/** Throws UsageError where there is no terminal: `instead` names the option to use. */
export async function readSecret(
  prompt: string,
  instead: string,
  signal: AbortSignal,
  { stdin, stderr }: Streams = process,
): Promise<string> {
  if (!stdin.isTTY) throw new UsageError(`there is no terminal to ask at: use ${instead}`)
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const typed: string[] = []
  const onData = (chunk: Buffer) => {
    for (const key of chunk.toString('utf8')) {
      // In raw mode the terminal does not make a signal of it.
      if (key === interrupt) return reject(new UsageError('nothing was entered'))
      if (enter.has(key)) return resolve(typed.join(''))
      if (erase.has(key)) typed.pop()
      else if (typed.length < lengthMax) typed.push(key)
    }
  }
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  stderr.write(prompt)
  stdin.setRawMode(true)
  stdin.on('data', onData)
  stdin.resume()
  try {
    return await promise
  } finally {
    stdin.off('data', onData)
    stdin.setRawMode(false)
    stdin.pause()
    signal.removeEventListener('abort', onAbort)
    stderr.write('\n')
  }
}
