/**
 * The baseline of speech: the two models on bare onnxruntime-node in this process, nothing around them. It runs the graphs
 * that a device runs, on the same samples: detector over every frame, encoder, greedy decoding with a key-value cache.
 * Samples are ready at 16 kHz, the segment is known before, tokens stay numbers: what is timed is the models alone.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { frameSamples, segmentsOf } from '../../runtime/perception/hearing/segment.ts'
import { detectorName, recordingSamples, speechModels, transcriberName } from './speech-files.ts'

/** As hearing does it (`speech-models.ts`): silence around the segment, in samples. */
const leadSamples = 3_200
const tailSamples = 9_600
const contextSamples = 64
const startToken = 1
const endToken = 2
const tokensMax = 60

export interface BareRun {
  readonly vadMs: number
  readonly encodeMs: number
  readonly decodeMs: number
  readonly tokens: readonly number[]
}

type Tensors = Record<string, Tensor>

export class BareSpeech {
  readonly #detector: InferenceSession
  readonly #encoder: InferenceSession
  readonly #decoder: InferenceSession
  readonly #samples: Float32Array
  #prepared = new Float32Array(0)

  private constructor(
    sessions: readonly [InferenceSession, InferenceSession, InferenceSession],
    samples: Float32Array,
  ) {
    ;[this.#detector, this.#encoder, this.#decoder] = sessions
    this.#samples = samples
  }

  static async open(signal: AbortSignal): Promise<BareSpeech> {
    const models = await speechModels(signal)
    const open = (model: string, role: string) => {
      const path = models.find(({ name }) => name === model)?.files[role]
      if (path === undefined) throw new Error(`the store has no ${role} of ${model}`)
      return InferenceSession.create(path, {
        executionProviders: ['cpu'],
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
      })
    }
    const sessions = [
      await open(detectorName, 'model'),
      await open(transcriberName, 'encoder'),
      await open(transcriberName, 'decoder'),
    ] as const
    const bare = new BareSpeech(sessions, await recordingSamples())
    bare.#prepared = bare.#prepare(await bare.#detect())
    return bare
  }

  async run(): Promise<BareRun> {
    const startMs = performance.now()
    await this.#detect()
    const detectedMs = performance.now()
    const hidden = await this.#encode()
    const encodedMs = performance.now()
    const tokens = await this.#decode(hidden)
    return {
      vadMs: detectedMs - startMs,
      encodeMs: encodedMs - detectedMs,
      decodeMs: performance.now() - encodedMs,
      tokens,
    }
  }

  #prepare(probabilities: Float32Array): Float32Array<ArrayBuffer> {
    const [segment, ...others] = segmentsOf(probabilities, this.#samples.length)
    if (!segment || others.length > 0) throw new Error('the recording is not one utterance')
    const speech = this.#samples.subarray(segment.start, segment.end)
    const prepared = new Float32Array(leadSamples + speech.length + tailSamples)
    prepared.set(speech, leadSamples)
    return prepared
  }

  async #detect(): Promise<Float32Array> {
    const samples = this.#samples
    const window = new Float32Array(contextSamples + frameSamples)
    const sr = new Tensor('int64', BigInt64Array.of(16_000n), [])
    const probabilities = new Float32Array(Math.ceil(samples.length / frameSamples))
    let state: Tensor = new Tensor('float32', new Float32Array(256), [2, 1, 128])
    for (let frame = 0; frame < probabilities.length; frame += 1) {
      const sound = samples.subarray(frame * frameSamples, (frame + 1) * frameSamples)
      window.copyWithin(0, frameSamples)
      window.set(sound, contextSamples)
      window.fill(0, contextSamples + sound.length)
      const input = new Tensor('float32', window, [1, window.length])
      const outputs = (await this.#detector.run({ input, state, sr }, ['output', 'stateN'])) as Tensors
      probabilities[frame] = Number(of(outputs, 'output').data[0])
      state = of(outputs, 'stateN')
    }
    return probabilities
  }

  async #encode(): Promise<Tensor> {
    const [input = ''] = this.#encoder.inputNames
    const [output = ''] = this.#encoder.outputNames
    const audio = new Tensor('float32', this.#prepared, [1, this.#prepared.length])
    return of((await this.#encoder.run({ [input]: audio }, [output])) as Tensors, output)
  }

  async #decode(hidden: Tensor): Promise<number[]> {
    const pastNames = this.#decoder.inputNames.filter((name) => name.startsWith('past_key_values.'))
    const past: Tensors = Object.fromEntries(
      pastNames.map((name) => [name, new Tensor('float32', new Float32Array(0), [1, 8, 0, 36])]),
    )
    const tokens: number[] = []
    let last = startToken
    while (tokens.length < tokensMax) {
      const cached = tokens.length > 0
      const growing = cached ? pastNames.filter((name) => name.includes('.decoder.')) : pastNames
      const outputs = (await this.#decoder.run(
        {
          ...past,
          input_ids: new Tensor('int64', BigInt64Array.of(BigInt(last)), [1, 1]),
          encoder_hidden_states: hidden,
          use_cache_branch: new Tensor('bool', Uint8Array.of(cached ? 1 : 0), [1]),
        },
        ['logits', ...growing.map(presentOf)],
      )) as Tensors
      for (const name of growing) past[name] = of(outputs, presentOf(name))
      const logits = of(outputs, 'logits').data as Float32Array
      last = logits.reduce((best, logit, id) => (logit > (logits[best] ?? 0) ? id : best), 0)
      if (last === endToken) return tokens
      tokens.push(last)
    }
    throw new Error(`the bare decoder did not end within ${tokensMax} tokens`)
  }
}

const presentOf = (past: string) => past.replace('past_key_values.', 'present.')

function of(outputs: Tensors, name: string): Tensor {
  const tensor = outputs[name]
  if (!tensor) throw new Error(`the model gave no output ${name}`)
  return tensor
}
