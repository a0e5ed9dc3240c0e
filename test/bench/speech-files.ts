/** The speech models on this disk, and the recorded command that the speech benchmarks hear. */
import { readFile } from 'node:fs/promises'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resample } from '../../runtime/inference/engine/steps/resampler.ts'
import { models } from '../../runtime/inference/models/index.ts'
import { defaultModelsDir } from '../../runtime/inference/store/models-dir.ts'
import { type LocalModel, ModelStore } from '../../runtime/inference/store/store.ts'
import { readWav } from '../../runtime/perception/hearing/wav.ts'
import { firstRecording } from '../../runtime/perception/samples/first-recording.ts'

export const detectorName = 'silero-vad'
export const transcriberName = 'moonshine-tiny-en'

/** Fetched from the registry at the first run of all. */
export async function speechModels(signal: AbortSignal): Promise<readonly LocalModel[]> {
  const deps = { clock: realClock, log: silentLog }
  await using store = await ModelStore.open(deps, { dir: defaultModelsDir(), manifests: models }, signal)
  const local: LocalModel[] = []
  for (const name of [detectorName, transcriberName]) local.push(await store.ensure(name, { signal }))
  return local
}

export function recordingWav(): Promise<Uint8Array> {
  return readFile(firstRecording.url)
}

/** The recording as the models take it: mono at 16 kHz. */
export async function recordingSamples(): Promise<Float32Array> {
  const { samples, sampleRateHz } = readWav(await recordingWav(), { audioSMax: 120 })
  return resample(samples, sampleRateHz, 16_000)
}
