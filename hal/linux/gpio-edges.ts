/**
 * Edges of requested lines, with the kernel's timestamps (CLOCK_MONOTONIC), delivered in the thread that asked: its own
 * event loop watches the descriptor. While the thread is busy the kernel keeps them, a bounded number; when that is full
 * the oldest go, and the gap in the line's sequence numbers says how many.
 */
import { constants } from 'node:os'
import { HalError } from '../contract/errors.ts'
import type { Edge } from '../contract/io.ts'
import { systemError } from './errno.ts'
import { lineEventSize, readLineEvent } from './gpio-abi.ts'
import { read, watchReadable } from './libc.ts'

/** Events of one read. */
const eventsPerRead = 64
/** Reads in one turn: a line that never rests does not hold the thread. */
const readsPerTurn = 16

interface Lines {
  readonly fd: number
  readonly where: string
}

export interface EdgeWatch {
  /** Delivers what the kernel holds now, without waiting for the event loop. */
  drain(): void
  /** Before the lines are closed. */
  stop(): void
}

/** `onEdge` gets the line's offset on its chip too. After `onError` nothing more comes. */
export function watchEdges(
  lines: Lines,
  onEdge: (edge: Edge, offset: number) => void,
  onError: (error: HalError) => void,
): EdgeWatch {
  const { fd, where } = lines
  const bytes = new Uint8Array(eventsPerRead * lineEventSize)
  const fields = new DataView(bytes.buffer)
  const sequences = new Map<number, number>()
  let stopped = false
  let draining = false

  const deliver = (at: number) => {
    const { rising, timestampNs, offset, lineSequence } = readLineEvent(fields, at)
    // Sequences are 32 bits and begin with 1.
    const missed = (lineSequence - (sequences.get(offset) ?? 0) - 1) >>> 0
    sequences.set(offset, lineSequence)
    onEdge({ rising, timestampNs, missed }, offset)
  }
  const fail = (number: number) => {
    stop()
    onError(
      number === 0
        ? new HalError('not-present', `${where}: its chip is gone`)
        : systemError(number, where, where),
    )
  }
  const readAll = () => {
    for (let reads = 0; reads < readsPerTurn && !stopped; reads += 1) {
      const count = read(fd, bytes)
      if (count === -constants.errno.EAGAIN) return
      if (count <= 0) return fail(-count)
      for (let at = 0; at + lineEventSize <= count && !stopped; at += lineEventSize) deliver(at)
      if (count < bytes.byteLength) return
    }
  }
  const drain = () => {
    // Whoever is called for an edge may ask for more: what it asks for comes anyway.
    if (draining) return
    draining = true
    try {
      readAll()
    } finally {
      draining = false
    }
  }
  const unwatch = watchReadable(fd, drain)
  const stop = () => {
    stopped = true
    unwatch()
  }
  return { drain, stop }
}
