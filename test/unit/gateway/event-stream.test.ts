/** Events to pages that come back to much, or read slowly, over real sockets. */
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EventStream } from '../../../gateway/api/event-stream.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'

let stream: EventStream
let server: Server
/** What the next page is attached with, and what happens right after. */
let attach: (response: ServerResponse) => void
beforeEach(async () => {
  stream = new EventStream(new VirtualClock())
  server = createServer((_request, response) => attach(response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  stream[Symbol.dispose]()
  server.close()
})

const blob = 'x'.repeat(15_000)
const send = (n: number) => stream.send('entity', { n, blob })

async function page(): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo
  return await new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, resolve).on('error', reject)
  })
}

/** The numbers that a page reads, until it has read `last` or ends. */
async function numbers(response: IncomingMessage, last: number): Promise<{ read: number[]; text: string }> {
  const read: number[] = []
  let text = ''
  let rest = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text = (text + chunk).slice(-200)
    const frames = (rest + chunk).split('\n\n')
    rest = frames.pop() ?? ''
    for (const frame of frames) {
      const [, digits] = /^data: \{"n":(\d+)/m.exec(frame) ?? []
      if (digits !== undefined) read.push(Number(digits))
    }
    if (read.at(-1) === last) break
  }
  return { read, text }
}
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

test('[api-8] a page that comes back to megabytes is given them in pieces, and what happens meanwhile', async () => {
  send(0)
  let epoch = ''
  attach = (response) => {
    stream.attach(response, undefined)
    send(1)
  }
  const first = await page()
  for await (const chunk of first.setEncoding('utf8')) {
    epoch = /^id: (.*)-\d+$/m.exec(chunk)?.[1] ?? epoch
    if (epoch !== '') break
  }
  for (let n = 2; n <= 200; n += 1) send(n)
  attach = (response) => {
    stream.attach(response, `${epoch}-2`)
    // Three megabytes lie there, none of them read.
    send(201)
    send(202)
    expect(response.writableLength).toBeLessThan(1_100_000)
  }
  const { read } = await numbers(await page(), 202)
  expect(read).toEqual(upTo(2, 202))
  expect(stream.dropped).toBe(0)
})

test('[api-8] a page that reads too slowly for what is kept is dropped, and holds no more than a little', async () => {
  let response: ServerResponse | undefined
  attach = (one) => {
    response = one
    stream.attach(one, undefined)
    for (let n = 0; n < 1_000; n += 1) send(n)
  }
  const slow = await page().catch(() => undefined)
  expect(response?.writableLength).toBeLessThan(1_100_000)
  expect(stream.dropped).toBe(1)
  expect(stream.consumers).toBe(0)
  slow?.destroy()
})
