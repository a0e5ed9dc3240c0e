/**
 * `use-lite`: English sentence embeddings (Universal Sentence Encoder Lite: Cer et al. 2018). File roles: `model`, the graph, whose
 * weights are files beside it; `vocabulary`, JSON `[[piece, log probability], …]`.
 *
 * In: `text` BYTES [n], n at most 256. Out: `embedding` FP32 [n,512], each of length 1; `tokens` INT32 [n], how many tokens of
 * each text were read. A text is read up to its 128th token, as the model was trained; texts of like length run together.
 */
import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { messageOf } from '../../../base/errors.ts'
import { InferError, type Tensor } from '../../../wire/infer.ts'
import { fetched, type Meter, OrtTensor, type Session } from '../session.ts'
import { checkInputs, type InputSpec, signatureFault } from '../signature.ts'
import type { ModelSignature, Pipeline, PipelineKind, Steps } from './pipeline.ts'
import { UnigramTokenizer } from './unigram-tokenizer.ts'

const textsMax = 256
/** 128 tokens are some 600 characters; cutting a text into pieces costs time for each. */
const charactersMax = 20_000
const tokensMax = 128
const width = 512
/** Texts in one native run: a step is to stay short. */
const rowsMax = 16
/** Behind the end of a shorter text. */
const padding = -1n

const inputSpecs: readonly InputSpec[] = [{ name: 'text', datatype: 'BYTES', shape: ['n'] }]
const signature: ModelSignature = {
  inputs: inputSpecs,
  outputs: [
    { name: 'embedding', datatype: 'FP32', shape: ['n', width] },
    { name: 'tokens', datatype: 'INT32', shape: ['n'] },
  ],
}
/** The package's list lost the values of seven pieces with a colon; TensorFlow.js counts what is missing as 0, and so do we. */
const logProbability = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? 0),
)
const vocabularyFile = v.pipe(
  v.array(v.tuple([v.string(), logProbability])),
  v.minLength(1),
  v.maxLength(1_000_000),
)

export const useLitePipeline: PipelineKind = {
  name: 'use-lite',
  roles: ['model', 'vocabulary'],
  async load({ model, open }) {
    const session = await open('model')
    const fault =
      signatureFault('input', [{ name: 'ids', datatype: 'INT64', shape: ['n', 't'] }], session.inputs) ??
      signatureFault(
        'output',
        [{ name: 'embedding', datatype: 'FP32', shape: ['n', width] }],
        session.outputs,
      )
    if (fault) throw new InferError('model-load', `model ${model.name}: ${fault}`)
    return new UseLitePipeline(
      session,
      new UnigramTokenizer(await vocabulary(model.name, model.files['vocabulary'])),
    )
  },
}

async function vocabulary(model: string, path: string | undefined) {
  if (path === undefined) throw new InferError('model-load', `model ${model} names no file for vocabulary`)
  try {
    return v.parse(vocabularyFile, JSON.parse(await readFile(path, 'utf8')))
  } catch (cause) {
    throw new InferError('model-load', `model ${model}: ${path} is no vocabulary: ${messageOf(cause)}`, {
      cause,
    })
  }
}

class UseLitePipeline implements Pipeline {
  readonly signature = signature
  readonly #session: Session
  readonly #tokenizer: UnigramTokenizer

  constructor(session: Session, tokenizer: UnigramTokenizer) {
    this.#session = session
    this.#tokenizer = tokenizer
  }

  async *run(inputs: readonly unknown[], meter: Meter): Steps {
    const texts = checkInputs(inputs, inputSpecs).get('text')?.data as string[]
    checkTexts(texts)
    const ids = texts.map((text) => this.#tokenizer.encode(text).slice(0, tokensMax))
    const embedding = new Float32Array(texts.length * width)
    const byLength = [...ids.keys()].sort((a, b) => lengthOf(ids, a) - lengthOf(ids, b))
    for (let at = 0; at < byLength.length; at += rowsMax) {
      if (at > 0) yield undefined
      const rows = byLength.slice(at, at + rowsMax)
      const vectors = await this.#embed(
        rows.map((row) => ids[row] ?? []),
        meter,
      )
      for (const [index, row] of rows.entries())
        embedding.set(vectors.subarray(index * width, (index + 1) * width), row * width)
    }
    return outputs(embedding, ids)
  }

  async release(): Promise<void> {
    await this.#session.release()
  }

  async #embed(rows: readonly (readonly number[])[], meter: Meter): Promise<Float32Array> {
    const longest = rows.reduce((most, row) => Math.max(most, row.length), 1)
    const ids = new BigInt64Array(rows.length * longest).fill(padding)
    for (const [index, row] of rows.entries()) ids.set(row.map(BigInt), index * longest)
    const feeds = { ids: new OrtTensor('int64', ids, [rows.length, longest]) }
    return fetched(await this.#session.run(feeds, ['embedding'], meter), 'embedding').data as Float32Array
  }
}

function checkTexts(texts: readonly string[]): void {
  if (texts.length > textsMax)
    throw new InferError('bad-input', `input text has ${texts.length} texts; expected ${textsMax} at most`)
  const long = texts.findIndex((text) => text.length > charactersMax)
  if (long >= 0)
    throw new InferError(
      'bad-input',
      `input text: number ${long} has ${texts[long]?.length} characters; expected ${charactersMax} at most`,
    )
}

const lengthOf = (ids: readonly (readonly number[])[], row: number) => ids[row]?.length ?? 0

function outputs(embedding: Float32Array, ids: readonly (readonly number[])[]): Tensor[] {
  return [
    { name: 'embedding', datatype: 'FP32', shape: [ids.length, width], data: embedding },
    {
      name: 'tokens',
      datatype: 'INT32',
      shape: [ids.length],
      data: Int32Array.from(ids, (row) => row.length),
    },
  ]
}
