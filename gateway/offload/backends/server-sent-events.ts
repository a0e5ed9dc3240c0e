/**
 * Reads a stream of server-sent events (WHATWG HTML, "Server-sent events", 9.2.6): yields the data of each. One event is bounded.
 */
import { InferError } from '../../../runtime/wire/infer.ts'

/** A chunk of a chat has hundreds of bytes; a tool's arguments at one go, thousands. */
const eventCharsMax = 2 ** 20

/** Throws InferError `run` for an event without end. */
export async function* serverSentEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  let data: string[] = []
  let chars = 0
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield data.join('\n')
        data = []
        chars = 0
      } else if (line.startsWith('data:')) {
        data.push(line.slice(line[5] === ' ' ? 6 : 5))
        chars += line.length
      }
    }
    if (rest.length + chars > eventCharsMax)
      throw new InferError('run', `an event has more than ${eventCharsMax} characters`)
  }
}
