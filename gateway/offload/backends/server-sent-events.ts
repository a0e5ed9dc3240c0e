/**
 * Reads a stream of server-sent events (WHATWG HTML, "Server-sent events", 9.2.6): yields the data of each. One event is bounded.
 */
import { InferError } from '../../../runtime/wire/infer.ts'

/** A chunk of a chat has hundreds of bytes; a tool's arguments at one go, thousands. */
const eventCharsMax = 2 ** 20

/** Throws InferError `run` for an event without end. */
export async function* serverSentEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let data: string[] = []
  let chars = 0
  for await (const line of linesOf(chunks)) {
    if (line === '') {
      if (data.length > 0) yield data.join('\n')
      data = []
      chars = 0
    } else if (line.startsWith('data:')) {
      data.push(line.slice(line[5] === ' ' ? 6 : 5))
      chars += line.length
      if (chars > eventCharsMax) throw tooLong()
    }
  }
}

/** Whole lines, ended by LF, CR or both, wherever the stream was cut. Each character is looked at once, however it drips. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest: string[] = []
  let chars = 0
  let afterCr = false
  for await (const chunk of chunks) {
    const decoded = decoder.decode(chunk, { stream: true })
    if (decoded === '') continue
    const [first = '', ...more] = (afterCr && decoded[0] === '\n' ? decoded.slice(1) : decoded).split(
      /\r\n|\n|\r/,
    )
    afterCr = decoded.endsWith('\r')
    rest.push(first)
    chars += first.length
    if (chars > eventCharsMax) throw tooLong()
    const last = more.pop()
    if (last === undefined) continue
    yield rest.join('')
    yield* more
    rest = [last]
    chars = last.length
  }
}

const tooLong = () => new InferError('run', `an event has more than ${eventCharsMax} characters`)
