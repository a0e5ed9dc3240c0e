/** From the end of speech to the command: a recording through the device's own path, against its models alone. */
import tokenizer from 'llama-tokenizer-js'
import { alternate } from './alternate.ts'
import type { BareRun } from './bare-speech.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { DevicePath, type SpokenRun } from './device-path.ts'
import { median, quantile } from './quantiles.ts'
import { recordingWav } from './speech-files.ts'
import { Worker } from './worker.ts'

export const speech: Benchmark = {
  name: 'speech.end-to-command',
  async run({ quick, signal }) {
    await using device = await DevicePath.open(signal)
    await using bare = await openBareSpeech()
    const wav = await recordingWav()
    const runs = await alternate<'device' | 'bare', SpokenRun | BareRun>(
      { device: () => device.sayRecording(wav, signal), bare: () => bare.ask<BareRun>({}) },
      { rounds: quick ? 7 : 20, warmUps: 2 },
    )
    return [measurement(runs.device as SpokenRun[], runs.bare as BareRun[])]
  },
}

/** Warmed up by its opening; one allocation arena as the engine has. */
export function openBareSpeech(node = process.execPath): Promise<Worker> {
  return Worker.open(new URL('programs/bare-speech.ts', import.meta.url), [], {
    node,
    env: { MALLOC_ARENA_MAX: '1' },
  })
}

export function bareMs({ vadMs, encodeMs, decodeMs }: BareRun): number {
  return vadMs + encodeMs + decodeMs
}

function measurement(device: readonly SpokenRun[], bare: readonly BareRun[]): Measurement {
  assertSameWords(device[0]?.text ?? '', bare[0]?.tokens ?? [])
  const p50 = <Run>(runs: readonly Run[], part: (run: Run) => number) => median(runs.map(part))
  const ms = (value: number) => `${value.toFixed(1)} ms`
  const rest = p50(device, (run) => run.sentMs - run.vadMs - run.transcribeMs - run.understandMs)
  const bareTranscribe = p50(bare, (run) => run.encodeMs + run.decodeMs)
  const vad = p50(device, (run) => run.vadMs)
  const bareVad = p50(bare, (run) => run.vadMs)
  const transcribe = p50(device, (run) => run.transcribeMs)
  return {
    name: 'speech.end-to-command',
    value: p50(device, (run) => run.sentMs),
    unit: 'ms',
    baseline: p50(bare, bareMs),
    against: 'the same models on bare onnxruntime-node in one process, one thread, samples and segment ready',
    budget: { of: 'ratio', max: 1.3 },
    limit: 'the decoder, one run a token on one thread',
    note:
      `medians of ${device.length}: wave file and resampling ${ms(rest)}; detector ${ms(vad)}, bare ${ms(bareVad)}; ` +
      `transcription with its pipe ${ms(transcribe)}, bare ${ms(bareTranscribe)}; ` +
      `understanding ${ms(p50(device, (run) => run.understandMs))}; p95 ${ms(
        quantile(
          device.map((run) => run.sentMs),
          0.95,
        ),
      )}; ` +
      `until telemetry showed it ${ms(p50(device, (run) => run.verifiedMs))}`,
  }
}

/** A baseline that does other work would be none. */
function assertSameWords(heard: string, tokens: readonly number[]): void {
  const bare = tokenizer.decode([...tokens], false, false).trim()
  if (bare !== heard.trim())
    throw new Error(`heard ${JSON.stringify(heard)}, the bare models ${JSON.stringify(bare)}`)
}
