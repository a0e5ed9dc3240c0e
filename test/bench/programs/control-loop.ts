/**
 * A control loop's ticks in a process that transcribes without pause: `engine` as a device does it, in its engine process;
 * `bare` with onnxruntime in this process; `nothing` ticks alone, which shows what the machine itself does to timers.
 */
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
  return undefined
}

answerParent(async ({ measureMs }: { measureMs: number }) => {
  const loops = [2, 10].map((periodMs) => new TickLoop(periodMs))
  const endMs = performance.now() + measureMs
  let transcriptions = 0
  while (work && performance.now() < endMs) {
    await work()
    transcriptions += 1
  }
  const leftMs = endMs - performance.now()
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs))
  return { transcriptions, loops: loops.map((loop) => loop.stop()) }
})
