/**
 * `moonshine`: English speech to text (https://github.com/moonshine-ai/moonshine, ONNX with a merged decoder). File roles:
 * `encoder`, `decoder`. Greedy decoding with a key-value cache; the encoder's share of it is computed in the first
 * decoder run and fed to every later one.
 *
 * In: `audio` FP32 [1,n] at 16 kHz, -1 to 1. Out, after each token that adds text: `text` BYTES [1], all said so far; at
 * the end also `tokens` INT32 [m]. Options: `tokensPerSecond` (6.5, the model's authors' bound on how fast people
 * speak), `secondsMax` (60: attention grows with its square).
 */
import type { EngineModel, TensorSpec } from '../../../wire/engine-protocol.ts'
import { InferError, type Tensor } from '../../../wire/infer.ts'
import { fetched, type Meter, OrtTensor, type Session } from '../session.ts'
import { checkInputs, type InputSpec, signatureFault } from '../signature.ts'
import { Detokenizer } from './detokenizer.ts'
import { numberOption, type Pipeline, type PipelineKind, type Steps } from './pipeline.ts'

const sampleRate = 16_000
const startToken = 1
const endToken = 2
/** Over the bound by rate: short utterances have more tokens a second. */
const tokensMargin = 8
/** The encoder's three convolutions need 895 samples for one output; below a tenth of a second there is no word. */
const samplesMin = sampleRate / 10
const pastPrefix = 'past_key_values.'

const inputSpecs: readonly InputSpec[] = [{ name: 'audio', datatype: 'FP32', shape: [1, 'n'] }]

type Past = Record<string, OrtTensor>

interface Limits {
  readonly tokensPerSecond: number
  readonly secondsMax: number
}

export const moonshinePipeline: PipelineKind = {
  name: 'moonshine',
  roles: ['encoder', 'decoder'],
  async load({ model, open }) {
    const limits = {
      tokensPerSecond: numberOption(model, 'tokensPerSecond', 6.5, { min: 1, max: 50 }),
      secondsMax: numberOption(model, 'secondsMax', 60, { min: 1, max: 600 }),
    }
    const encoder = await open('encoder')
    checkEncoder(model, encoder)
    const decoder = await open('decoder')
    checkDecoder(model, decoder)
    return new MoonshinePipeline(encoder, decoder, await vocabulary(), limits)
  },
}

/** The tokenizer's tables for encoding are 16 MB that nothing here reads. */
async function vocabulary(): Promise<readonly string[]> {
  const { default: tokenizer } = await import('llama-tokenizer-js')
  tokenizer.merges.clear()
  tokenizer.vocabByString.clear()
  return tokenizer.vocabById
}

class MoonshinePipeline implements Pipeline {
  readonly #encoder: Session
  readonly #decoder: Session
  readonly #vocabulary: readonly string[]
  readonly #limits: Limits
  readonly #pastSpecs: readonly TensorSpec[]

  constructor(encoder: Session, decoder: Session, vocabulary: readonly string[], limits: Limits) {
    this.#encoder = encoder
    this.#decoder = decoder
    this.#vocabulary = vocabulary
    this.#limits = limits
    this.#pastSpecs = decoder.inputs.filter((input) => input.name.startsWith(pastPrefix))
  }

  async *run(inputs: readonly unknown[], meter: Meter): Steps {
    const audio = checkInputs(inputs, inputSpecs).get('audio')?.data as Float32Array
    this.#checkLength(audio.length)
    const hidden = await this.#encode(audio, meter)
    const text = new Detokenizer(this.#vocabulary)
    const tokens: number[] = []
    const tokensMax = Math.ceil((audio.length / sampleRate) * this.#limits.tokensPerSecond) + tokensMargin
    let past = this.#emptyPast()
    let last = startToken
    let said = ''
    while (tokens.length < tokensMax) {
      yield text.text === said ? undefined : [textTensor(text.text)]
      said = text.text
      const step = await this.#decode(last, hidden, past, tokens.length > 0, meter)
      past = step.past
      last = step.token
      if (last === endToken) break
      tokens.push(last)
      text.push(last)
    }
    return [
      textTensor(text.end()),
      { name: 'tokens', datatype: 'INT32', shape: [tokens.length], data: Int32Array.from(tokens) },
    ]
  }

  async release(): Promise<void> {
    await this.#encoder.release()
    await this.#decoder.release()
  }

  #checkLength(samples: number): void {
    const samplesMax = this.#limits.secondsMax * sampleRate
    if (samples < samplesMin || samples > samplesMax)
      throw new InferError(
        'bad-input',
        `input audio is ${samples} samples; expected ${samplesMin} to ${samplesMax}, at ${sampleRate} a second`,
      )
  }

  async #encode(audio: Float32Array, meter: Meter): Promise<OrtTensor> {
    const input = this.#encoder.inputs[0]?.name ?? ''
    const output = this.#encoder.outputs[0]?.name ?? ''
    const feeds = { [input]: new OrtTensor('float32', audio, [1, audio.length]) }
    return fetched(await this.#encoder.run(feeds, [output], meter), output)
  }

  /** One token on. With `cached`, only the decoder's own cache grows; the encoder's stays the same tensor. */
  async #decode(last: number, hidden: OrtTensor, past: Past, cached: boolean, meter: Meter) {
    const growing = this.#pastSpecs.map((spec) => spec.name).filter((name) => !cached || isDecoderPast(name))
    const outputs = await this.#decoder.run(
      {
        ...past,
        input_ids: new OrtTensor('int64', BigInt64Array.of(BigInt(last)), [1, 1]),
        encoder_hidden_states: hidden,
        use_cache_branch: new OrtTensor('bool', Uint8Array.of(cached ? 1 : 0), [1]),
      },
      ['logits', ...growing.map(presentName)],
      meter,
    )
    const next: Past = { ...past }
    for (const name of growing) next[name] = fetched(outputs, presentName(name))
    return { token: argmax(fetched(outputs, 'logits').data as Float32Array), past: next }
  }

  #emptyPast(): Past {
    const past: Past = {}
    for (const spec of this.#pastSpecs) {
      const [, heads, , width] = spec.shape
      past[spec.name] = new OrtTensor('float32', new Float32Array(0), [1, Number(heads), 0, Number(width)])
    }
    return past
  }
}

function checkEncoder(model: EngineModel, encoder: Session): void {
  const [input, output] = [encoder.inputs[0], encoder.outputs[0]]
  if (encoder.inputs.length === 1 && input?.shape.length === 2 && output?.shape.length === 3) return
  throw new InferError('model-load', `model ${model.name}: the encoder file is not a Moonshine encoder`)
}

function checkDecoder(model: EngineModel, decoder: Session): void {
  const fault = signatureFault(
    'input',
    [
      { name: 'input_ids', datatype: 'INT64', shape: [1, 1] },
      { name: 'encoder_hidden_states', datatype: 'FP32', shape: [1, 'n', 'width'] },
      { name: 'use_cache_branch', datatype: 'BOOL', shape: [1] },
      { name: `${pastPrefix}0.decoder.key`, datatype: 'FP32', shape: [1, 'heads', 'n', 'width'] },
    ],
    decoder.inputs,
  )
  if (fault)
    throw new InferError('model-load', `model ${model.name}: not a merged Moonshine decoder: ${fault}`)
}

function isDecoderPast(name: string): boolean {
  return name.includes('.decoder.')
}

function presentName(past: string): string {
  return past.replace(pastPrefix, 'present.')
}

function argmax(logits: Float32Array): number {
  let best = 0
  for (let id = 1; id < logits.length; id += 1) if ((logits[id] ?? 0) > (logits[best] ?? 0)) best = id
  return best
}

function textTensor(text: string): Tensor {
  return { name: 'text', datatype: 'BYTES', shape: [1], data: [text] }
}
