/**
 * The engine process: the second composition root. Started by a supervisor with a duplex pipe on file descriptor 3; it
 * lives exactly as long as that pipe, and leaves signals that a terminal or a service manager sends to the whole group to
 * its parent. Nothing personal goes to standard error.
 *
 * `engine --oip SOCKET` serves the Open Inference Protocol v2 on a Unix socket instead, as an accelerator's adapter does; it
 * then lives as long as its standard input.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type OnReadOpts, Socket } from 'node:net'
import { setPriority } from 'node:os'
import { realClock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { FromEngine } from '../../wire/engine-protocol.ts'
import { FrameError, frameReading, PayloadMemory, writeFrame } from '../../wire/frames.ts'
import { wireLimits } from '../../wire/limits.ts'
import { Engine } from './engine.ts'
import { nativeMemoryMb } from './native-memory.ts'

const pipeFd = 3
const exitCodes = { ok: 0, usage: 2, protocol: 3 }
/** What floods one model leaves a quarter of the places for the others. */
const modelShare = 0.75

function openPipe(onread: OnReadOpts): Socket {
  try {
    return new Socket({ fd: pipeFd, readable: true, writable: true, onread })
  } catch {
    return quit(
      exitCodes.usage,
      `the engine is started by the runtime, with a pipe on file descriptor ${pipeFd}`,
    )
  }
}

function quit(code: number, line: string): never {
  process.stderr.write(`${line}\n`)
  process.exit(code)
}

/** First argument: threads of one session. One leaves the other cores to whoever else lives on the board. Second: requests. */
function serveOptions(threads = '1', queueMax = '64') {
  return { intraOpThreads: count('threads', threads), queueMax: count('queueMax', queueMax) }
}

function count(name: string, argument: string): number {
  const number = Number(argument)
  if (Number.isInteger(number) && number >= 1) return number
  return quit(exitCodes.usage, `${name} is ${argument}; expected a whole number from 1`)
}

/** Short of memory, the kernel takes the engine and not the control loop (proc(5), oom_score_adj). Linux only. */
function offerToOutOfMemory(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '500')
  } catch {
    // Elsewhere there is no such file, and the choice is the system's.
  }
}

/**
 * Where every core computes, whoever wakes gets one sooner from those of a lower priority: the control loop. A tenth of the
 * weight of others (sched(7)): with nobody else at work it loses nothing.
 */
function giveWay(): void {
  try {
    setPriority(10)
  } catch {
    // Not allowed here: the service manager has decided.
  }
}

/** A response too large for a frame becomes a failure that says so. */
function send(pipe: Socket, message: FromEngine): void {
  try {
    writeFrame(pipe, message, wireLimits.frameBytesMax)
  } catch (error) {
    if (!(error instanceof FrameError) || message.t !== 'response') throw error
    const { id } = message.response
    send(pipe, {
      t: 'response',
      response: { id, final: true, error: { code: 'run', message: messageOf(error) } },
    })
  }
}

async function drained(pipe: Socket): Promise<void> {
  if (pipe.writableNeedDrain) await once(pipe, 'drain')
}

function serveSupervisor(options: ReturnType<typeof serveOptions>): void {
  const memory = new PayloadMemory()
  const pipe: Socket = openPipe(
    frameReading(
      wireLimits.frameBytesMax,
      memory,
      (message) => engine.handle(message),
      (error) => quit(exitCodes.protocol, `the engine's pipe broke: ${error.message}`),
    ),
  )
  offerToOutOfMemory()
  giveWay()
  const engine: Engine = new Engine(
    {
      clock: realClock,
      pid: process.pid,
      send: (message) => send(pipe, message),
      drained: () => drained(pipe),
      doneWith: (buffer) => memory.giveBack(buffer),
      rssBytes: () => process.memoryUsage.rss(),
      nativeMb: nativeMemoryMb,
      onStop: () => pipe.end(() => process.exit(exitCodes.ok)),
      warn: (line) => void process.stderr.write(`${line}\n`),
    },
    { ...options, modelQueueMax: Math.ceil(options.queueMax * modelShare) },
  )
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  pipe.on('end', () => process.exit(exitCodes.ok))
  pipe.on('error', () => process.exit(exitCodes.ok))
  pipe.resume()
  engine.start()
}

/** Loaded here only: the runtime's own engine needs no HTTP server. */
async function serveSocket(socketPath: string): Promise<void> {
  offerToOutOfMemory()
  giveWay()
  const [{ FileModels }, { serveOip }] = await Promise.all([
    import('./oip/file-models.ts'),
    import('./oip/oip-server.ts'),
  ])
  const warn = (line: string) => void process.stderr.write(`${line}\n`)
  const server = serveOip(new FileModels({ clock: realClock, warn }, serveOptions()), socketPath)
  server.on('error', (error) => quit(exitCodes.usage, `${socketPath}: ${error.message}`))
  process.stdin.on('end', () => process.exit(exitCodes.ok))
  process.stdin.on('error', () => process.exit(exitCodes.ok))
  process.stdin.resume()
}

async function main([first, second]: readonly string[]): Promise<void> {
  if (first !== '--oip') serveSupervisor(serveOptions(first, second))
  else if (second === undefined) quit(exitCodes.usage, 'usage: engine --oip SOCKET')
  else await serveSocket(second)
}

await main(process.argv.slice(2))
