/**
 * Entry of a thread that samples sensors. Built-in drivers share one; a module from disk has its own. It beats in shared
 * memory; the control loop ends it when it stands still.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { sayNativeCalls } from '../linux/native-calls.ts'
import { threadHost } from '../thread-host.ts'
import { SensorThread } from './sensor-thread.ts'
import {
  beatAt,
  beatEveryMs,
  type FromThread,
  nativeWordsOf,
  type ThreadInit,
  type ToThread,
} from './worker-messages.ts'

/** Buffers are outside the heap, whose limit does not count them. */
const bufferBytesMax = 64e6

if (!parentPort) throw new Error('this program is a thread of the runtime')
const port = parentPort
const init = workerData as ThreadInit
const words = new Int32Array(init.shared)
sayNativeCalls(nativeWordsOf(init.shared))
const post = (message: FromThread) => port.postMessage(message)

setInterval(() => {
  Atomics.add(words, beatAt, 1)
  const { arrayBuffers } = process.memoryUsage()
  if (arrayBuffers > bufferBytesMax) endSaying(`its buffers hold ${Math.round(arrayBuffers / 1e6)} MB`)
}, beatEveryMs)

const host = threadHost((level, message, fields) => post({ type: 'log', level, message, fields }))
const thread = await SensorThread.open(init, host, post)
// What a part started itself and nobody awaits must not end its neighbours.
process.on('uncaughtException', (error) => thread.threw(error))
port.on('message', (message: ToThread) => {
  if (message.type !== 'close') return thread.handle(message)
  void thread[Symbol.asyncDispose]().finally(() => {
    post({ type: 'closed' })
    process.exit(0)
  })
})

/** The supervisor starts the thread again, and knows why. */
function endSaying(why: string): void {
  post({ type: 'ending', why })
  process.exit(1)
}
