/**
 * Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) for any number of pages up to a
 * maximum. The last events are kept, bounded by count and bytes, so that a page that lost its connection goes on after
 * `Last-Event-ID`; when that is too old, or of another start of the gateway, it gets `reset` and must load afresh. A page
 * that reads slowly is given no more than it takes, out of what is kept; one that is too slow for that is dropped: it comes back by itself.
 */
import type { ServerResponse } from 'node:http'
import type { Cancel, Clock } from '../../runtime/base/clock.ts'

export type StreamEventName =
  | 'entity'
  | 'command'
  | 'device'
  | 'agents'
  | 'approval'
  | 'decision'
  | 'board'
  | 'reset'

export interface EventStreamOptions {
  readonly consumersMax: number
  readonly eventsMax: number
  readonly bytesMax: number
  /** Unsent bytes after which a page is given no more until it has read. */
  readonly consumerBytesMax: number
  readonly heartbeatMs: number
}

export const defaultEventStreamOptions: EventStreamOptions = {
  /** A family's tabs. */
  consumersMax: 32,
  /** Some minutes of a busy home. */
  eventsMax: 1_000,
  bytesMax: 4 * 1024 * 1024,
  consumerBytesMax: 1024 * 1024,
  /** Below the 30 s after which proxies and phones cut idle connections. */
  heartbeatMs: 15_000,
}

interface Kept {
  readonly seq: number
  readonly frame: string
}

export class EventStream implements Disposable {
  readonly #clock: Clock
  readonly #options: EventStreamOptions
  readonly #epoch: string
  /** With the last event that each was given. */
  readonly #consumers = new Map<ServerResponse, number>()
  #kept: Kept[] = []
  #keptBytes = 0
  #seq = 0
  #dropped = 0
  #heartbeat: Cancel | undefined

  constructor(clock: Clock, options: EventStreamOptions = defaultEventStreamOptions) {
    this.#clock = clock
    this.#options = options
    this.#epoch = clock.newId().slice(0, 8)
  }

  get consumers(): number {
    return this.#consumers.size
  }

  /** Pages dropped because they did not read. */
  get dropped(): number {
    return this.#dropped
  }

  get full(): boolean {
    return this.#consumers.size >= this.#options.consumersMax
  }

  send(event: StreamEventName, payload: unknown): void {
    this.#seq += 1
    const frame = this.#frame(event, payload)
    this.#kept.push({ seq: this.#seq, frame })
    this.#keptBytes += frame.length
    while (this.#kept.length > this.#options.eventsMax || this.#keptBytes > this.#options.bytesMax)
      this.#keptBytes -= this.#kept.shift()?.frame.length ?? 0
    for (const response of [...this.#consumers.keys()]) this.#give(response)
  }

  /** Adds a page. The response's head must be sent already. */
  attach(response: ServerResponse, lastEventId: string | undefined): void {
    const last = this.#known(lastEventId)
    this.#consumers.set(response, last ?? this.#seq)
    response.on('close', () => this.#consumers.delete(response))
    response.on('error', () => response.destroy())
    response.on('drain', () => this.#give(response))
    response.write('retry: 1000\n\n')
    if (last === undefined) response.write(this.#frame('reset', {}))
    this.#give(response)
    this.#heartbeat ??= this.#beat()
  }

  [Symbol.dispose](): void {
    this.#heartbeat?.()
    for (const response of this.#consumers.keys()) response.destroy()
  }

  #frame(event: StreamEventName, payload: unknown): string {
    return `id: ${this.#epoch}-${this.#seq}\nevent: ${event}\ndata: ${JSON.stringify(payload)}\n\n`
  }

  /** The number of an event after which all is kept; undefined where it is not known any more. */
  #known(lastEventId: string | undefined): number | undefined {
    if (!lastEventId) return this.#seq
    const [, epoch, digits] = /^(.{1,64})-(\d{1,15})$/.exec(lastEventId) ?? []
    const seq = Number(digits)
    return epoch === this.#epoch && seq >= this.#firstKept - 1 && seq <= this.#seq ? seq : undefined
  }

  get #firstKept(): number {
    return this.#kept[0]?.seq ?? this.#seq + 1
  }

  /** What it was not given yet, as far as it reads. */
  #give(response: ServerResponse): void {
    for (let last = this.#consumers.get(response); last !== undefined && last < this.#seq; last += 1) {
      const kept = this.#kept[last + 1 - this.#firstKept]
      if (!kept) {
        this.#dropped += 1
        this.#consumers.delete(response)
        response.destroy()
        return
      }
      if (response.writableLength > this.#options.consumerBytesMax) return
      response.write(kept.frame)
      this.#consumers.set(response, kept.seq)
    }
  }

  #beat(): Cancel {
    return this.#clock.after(this.#options.heartbeatMs, () => {
      for (const response of this.#consumers.keys())
        if (response.writableLength <= this.#options.consumerBytesMax) response.write(': alive\n\n')
      this.#heartbeat = this.#consumers.size > 0 ? this.#beat() : undefined
    })
  }
}
