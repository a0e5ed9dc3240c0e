/**
 * Entry of the safety thread. It owns every output of the device and needs nothing of the control loop but its signs of
 * life, which it reads from shared memory: a loop that stands still cannot keep it from driving outputs safe.
 */
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { sayNativeCalls } from '../linux/native-calls.ts'
import { threadHost } from '../thread-host.ts'
import {
  type FromThread,
  mainBeatAt,
  nativeWordsOf,
  type ThreadInit,
  type ToThread,
  threadBeatAt,
  threadBeatEveryMs,
} from './messages.ts'
import { openWatchdogOf } from './open-watchdog.ts'
import { plainError, ThreadRoom } from './thread-room.ts'

/** Driving everything safe takes milliseconds; a part that hangs does not keep a crashed thread alive. */
const closeMsMax = 2_000

if (!parentPort) throw new Error('this program is a thread of the runtime')
const port = parentPort
const { plan, shared } = workerData as ThreadInit
const counters = new Int32Array(shared)
sayNativeCalls(nativeWordsOf(shared))
const post = (message: FromThread) => port.postMessage(message)
const host = threadHost((level, message, fields) => post({ type: 'log', level, message, fields }))

raisePriority()
const stop = new AbortController()
let room: ThreadRoom | undefined
let ending = false

setInterval(() => Atomics.add(counters, threadBeatAt, 1), threadBeatEveryMs)
process.on('uncaughtException', (error) => {
  post({ type: 'crashed', message: String(error?.stack ?? error) })
  room?.abandonWatchdog()
  void end({ type: 'closed' }, 1)
})
port.on('message', (message: ToThread) => {
  if (message.type === 'close') void end({ type: 'closed' }, 0)
  else void room?.handle(message)
})

try {
  const beats = () => Atomics.load(counters, mainBeatAt)
  const openWatchdog = await openWatchdogOf(plan)
  room = await ThreadRoom.open(
    { host, post, beats, ...(openWatchdog ? { openWatchdog } : {}) },
    plan,
    stop.signal,
  )
} catch (error) {
  void end({ type: 'refused', error: plainError(error) }, 0)
}

/**
 * On Linux priority is a thread's own (setpriority(2), "C library/kernel differences"): a busy device does not keep this
 * one waiting. Needs CAP_SYS_NICE or `LimitNICE=`. Measured with five busy programs a core: a lease's end at most 19 ms
 * late, where a bare timer was 206.
 */
function raisePriority(): void {
  try {
    setPriority(0, constants.priority.PRIORITY_HIGHEST)
  } catch (error) {
    host.log.debug('the safety thread keeps the usual priority', { reason: String(error) })
  }
}

/** Drives everything safe and says goodbye; it says none when that failed. */
async function end(message: FromThread, exitCode: number): Promise<void> {
  if (ending) return
  ending = true
  setTimeout(() => process.exit(1), closeMsMax).unref()
  stop.abort(new Error('closing'))
  await room?.[Symbol.asyncDispose]().catch((error) => post({ type: 'crashed', message: String(error) }))
  if (room?.driven !== false) post(message)
  process.exit(exitCode)
}
