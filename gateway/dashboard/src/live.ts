/**
 * Server-sent events with reconnection. The browser's own reconnection gives up on an HTTP error, so every error
 * closes the source and a new one is opened after a back-off with jitter. `onOpen` runs at each connection: what
 * happened in between was missed and must be loaded again.
 */
import { backoffMs } from '../../../runtime/base/retry.ts'

/** A gateway that restarts is back in seconds; a page left open overnight must not knock more than twice a minute. */
const backoff = { firstMs: 500, maxMs: 30_000 }

/** `reset`: what was missed is not known any more. */
const kinds = ['entity', 'command', 'device', 'agents', 'approval', 'decision', 'board', 'reset'] as const
export type LiveEvent = (typeof kinds)[number]

export interface Live {
  /** Connects now instead of after the back-off: a network came back, a token was shown. */
  retryNow(): void
  close(): void
}

export interface LiveHandlers {
  readonly onOpen: () => void
  readonly onLost: () => void
  readonly onEvent: (kind: LiveEvent, value: unknown) => void
}

export function openLive(url: string, handlers: LiveHandlers): Live {
  let attempt = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let source: EventSource | undefined

  const connect = () => {
    timer = undefined
    const current = new EventSource(url)
    source = current
    current.addEventListener('open', () => {
      attempt = 0
      handlers.onOpen()
    })
    current.addEventListener('error', () => {
      current.close()
      handlers.onLost()
      timer = setTimeout(connect, backoffMs(attempt, backoff, Math.random()))
      attempt += 1
    })
    for (const kind of kinds) {
      current.addEventListener(kind, (event) => handlers.onEvent(kind, parsed(event)))
    }
  }
  const retryNow = () => {
    if (timer === undefined) return
    clearTimeout(timer)
    connect()
  }

  connect()
  addEventListener('online', retryNow)
  return {
    retryNow,
    close() {
      clearTimeout(timer)
      source?.close()
      removeEventListener('online', retryNow)
    },
  }
}

function parsed(event: MessageEvent<unknown>): unknown {
  try {
    return JSON.parse(String(event.data))
  } catch {
    return undefined
  }
}
