/**
 * A control loop's ticks in a process that transcribes without pause: `engine` as a device does it, in its engine process;
 * `bare` with onnxruntime in this process; `nothing` ticks alone, which shows what the machine itself does to timers. `full`
 * keeps an engine process on every core busy instead, `full-bare` as many threads of onnxruntime in this process.
 */

import { bareOnAllCores, enginesOnAllCores } from '../all-cores.ts'
import { answerParent } from '../answering.ts'
import { BareSpeech } from '../bare-speech.ts'
import { DevicePath } from '../device-path.ts'
import { TickLoop } from '../lateness.ts'
import { recordingWav } from '../speech-files.ts'

const never = new AbortController().signal
const work = await open(process.argv[2])

async function open(how: string | undefined): Promise<(() => Promise<unknown>) | undefined> {
  if (how === 'bare') {
    const bare = await BareSpeech.open(never)
    return () => bare.run()
  }
  if (how === 'engine') {
    const device = await DevicePath.open(never)
    const wav = await recordingWav()
    return () => device.hearing.hearWav(wav, never)
  }
  if (how === 'full') return enginesOnAllCores(never)
  if (how === 'full-bare') return bareOnAllCores()
  return undefined
}

answerParent(async ({ measureMs }: { measureMs: number }) => {
  const loops = [2, 10].map((periodMs) => new TickLoop(periodMs))
  const endMs = performance.now() + measureMs
  let runs = 0
  while (work && performance.now() < endMs) {
    await work()
    runs += 1
  }
  const leftMs = endMs - performance.now()
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs))
  return { runs, loops: loops.map((loop) => loop.stop()) }
})
