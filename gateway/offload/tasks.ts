/**
 * Work that is asked for by task, as tensors: what a model of each task takes and gives, whoever serves it. So chats and
 * recordings travel in the same envelope as everything else, with its labels, deadlines and queues.
 */
import type { TensorSpec } from '../../runtime/wire/engine-protocol.ts'
import type { InferChunk, Tensor } from '../../runtime/wire/infer.ts'
import type { ServedModel } from './backends/backend.ts'

export const tasks = ['chat', 'embeddings', 'transcription'] as const
export type Task = (typeof tasks)[number]

/**
 * chat: `request` is the body of OpenAI's chat completion as JSON; the answer is `response`, or, where the request says
 * `stream`, one `event` a chunk (the data of a server-sent event) and a final chunk without outputs; with the parameter `whole_too`
 * the whole as `response` where the server cannot stream.
 * embeddings: texts in, one vector a text out; a backend that counts tokens adds `tokens`.
 * transcription by a server elsewhere: the recording as a `file`, the other form fields as JSON in `request`; the answer as
 * for chat. A local model takes samples instead: `audio` FP32 [1,n].
 */
export const taskSignatures: Readonly<
  Record<Task, { readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] }>
> = {
  chat: { inputs: [spec('request', 'BYTES', [1])], outputs: [spec('response', 'BYTES', [1])] },
  embeddings: {
    inputs: [spec('text', 'BYTES', ['n'])],
    outputs: [spec('embedding', 'FP32', ['n', 'd'])],
  },
  transcription: {
    inputs: [spec('file', 'UINT8', ['n']), spec('request', 'BYTES', [1])],
    outputs: [spec('response', 'BYTES', [1])],
  },
}

function spec(name: string, datatype: TensorSpec['datatype'], shape: TensorSpec['shape']): TensorSpec {
  return { name, datatype, shape }
}

/** Finds speech in a recording before a local model transcribes it. */
export const speechDetector = 'silero-vad'

/** Takes the recording as a file, because it is served elsewhere. */
export function takesFiles(model: ServedModel): boolean {
  return model.inputs.some(({ name, datatype }) => name === 'file' && datatype === 'UINT8')
}

export function textTensor(name: string, ...texts: string[]): Tensor {
  return { name, datatype: 'BYTES', shape: [texts.length], data: texts }
}

/** The first element of a BYTES tensor; undefined where there is none. */
export function textIn(tensors: readonly Tensor[], name: string): string | undefined {
  const tensor = tensors.find((one) => one.name === name)
  return tensor?.datatype === 'BYTES' ? tensor.data[0] : undefined
}

/** The final chunk. */
export async function lastOf(chunks: AsyncIterable<InferChunk>): Promise<InferChunk> {
  for await (const chunk of chunks) if (chunk.final) return chunk
  throw new Error('an answer has no final chunk')
}
