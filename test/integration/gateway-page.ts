/** A page that listens to the gateway's events, over a real socket. */
import { get, type IncomingMessage } from 'node:http'
import { expect } from 'vitest'

interface Received {
  readonly id: string
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into any event
  readonly data: any
}

export class Page implements Disposable {
  readonly events: Received[] = []
  comments = 0
  closed = false
  readonly response: IncomingMessage
  #rest = ''

  private constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => this.#take(chunk))
    response.on('close', () => {
      this.closed = true
    })
    response.on('error', () => {})
  }

  static async open(url: string, lastEventId?: string): Promise<Page> {
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${url}/api/events`, { headers, agent: false }, resolve).on('error', reject)
    })
    expect(response.headers['content-type']).toBe('text/event-stream')
    return new Page(response)
  }

  of(event: string): Received[] {
    return this.events.filter((one) => one.event === event)
  }

  #take(chunk: string): void {
    const frames = (this.#rest + chunk).split('\n\n')
    this.#rest = frames.pop() ?? ''
    for (const frame of frames) {
      const fields = new Map(frame.split('\n').map((line) => line.split(/: ?(.*)/s) as [string, string]))
      if (fields.has('')) this.comments += 1
      const data = fields.get('data')
      if (data === undefined) continue
      this.events.push({
        id: fields.get('id') ?? '',
        event: fields.get('event') ?? '',
        data: JSON.parse(data),
      })
    }
  }

  [Symbol.dispose](): void {
    this.response.destroy()
  }
}
