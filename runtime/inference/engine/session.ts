/**
 * One ONNX Runtime session on the CPU, and tensors to and from it. `run` and `open` are synchronous native calls: the
 * event loop stands still in them and turns once between two. Callers await between runs, so frames are seen there.
 */
import { availableParallelism } from 'node:os'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { TensorSpec } from '../../wire/engine-protocol.ts'
import { type Datatype, InferError, type Tensor } from '../../wire/infer.ts'

export { OrtTensor }

type OrtType = OrtTensor.Type
const ortTypes: { readonly [D in Datatype]: OrtType } = {
  BOOL: 'bool',
  UINT8: 'uint8',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
}
const datatypeOf = new Map(Object.entries(ortTypes).map(([datatype, type]) => [type, datatype as Datatype]))

/** Adds up the time that one request spends inside models. */
export interface Meter {
  modelMs: number
}

export interface SessionOptions {
  readonly intraOpThreads: number
}

export class Session {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly #session: InferenceSession
  readonly #clock: Clock

  private constructor(session: InferenceSession, clock: Clock) {
    this.#session = session
    this.#clock = clock
    this.inputs = session.inputMetadata.map((one) => specOf(one, 'input'))
    this.outputs = session.outputMetadata.map((one) => specOf(one, 'output'))
  }

  /** Throws InferError `model-load`. */
  static async open(clock: Clock, path: string, options: SessionOptions): Promise<Session> {
    try {
      const session = await InferenceSession.create(path, {
        executionProviders: ['cpu'],
        intraOpNumThreads: options.intraOpThreads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        // What it would say of a failed run, values of inputs among it, is in the error.
        logSeverityLevel: 4,
        extra: { session: spinning(options.intraOpThreads) },
      })
      return new Session(session, clock)
    } catch (cause) {
      if (cause instanceof InferError) throw cause
      throw new InferError('model-load', `${path}: ${oneLine(cause)}`, { cause })
    }
  }

  /** Runs the graph once and returns the outputs named in `fetches`. Throws InferError `run`. */
  async run(
    feeds: Readonly<Record<string, OrtTensor>>,
    fetches: readonly string[],
    meter: Meter,
  ): Promise<Readonly<Record<string, OrtTensor>>> {
    const startMs = this.#clock.monotonicMs()
    try {
      return (await this.#session.run(feeds, fetches)) as Record<string, OrtTensor>
    } catch (cause) {
      throw new InferError('run', `the model stopped: ${oneLine(cause)}`, { cause })
    } finally {
      meter.modelMs += this.#clock.monotonicMs() - startMs
    }
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}

/**
 * ONNX Runtime's threads wait for work by spinning, also between runs. With a core to spare they may while a run lasts:
 * it makes many small operators quicker. Where they have every core, they would take the control loop's.
 */
function spinning(threads: number): Record<string, unknown> {
  return threads < availableParallelism()
    ? { force_spinning_stop: '1' }
    : { intra_op: { allow_spinning: '0' } }
}

/** An output by name; its absence is the model file's mistake. */
export function fetched(outputs: Readonly<Record<string, OrtTensor>>, name: string): OrtTensor {
  const tensor = outputs[name]
  if (!tensor) throw new InferError('run', `the model gave no output ${name}`)
  return tensor
}

export function toOrt(tensor: Tensor): OrtTensor {
  const type = ortTypes[tensor.datatype]
  // Byte strings arrive as Node Buffers, which ONNX Runtime does not take for a Uint8Array.
  const data =
    tensor.data instanceof Uint8Array
      ? new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength)
      : tensor.data
  return new OrtTensor(type as 'float32', data as Float32Array, tensor.shape)
}

/** Throws InferError `run` for element types that the envelope does not have. */
export function fromOrt(name: string, tensor: OrtTensor): Tensor {
  const datatype = datatypeOf.get(tensor.type)
  if (!datatype)
    throw new InferError(
      'run',
      `output ${name} is ${tensor.type}, which the inference envelope does not carry`,
    )
  return { name, datatype, shape: [...tensor.dims], data: tensor.data } as unknown as Tensor
}

/** The native library says some things with a stack of its own calls. */
function oneLine(cause: unknown): string {
  return messageOf(cause).replace(/\s+/g, ' ').trim()
}

/** Of a tensor, as the wire takes it; what is shown in terminals and logs holds nothing that moves their cursor. */
const tensorName = /^[^\p{Cc}\p{Cf}]{1,128}$/u

function specOf(metadata: InferenceSession.ValueMetadata, side: 'input' | 'output'): TensorSpec {
  if (!tensorName.test(metadata.name))
    throw new InferError('model-load', `the name of an ${side} is not 1 to 128 characters that can be shown`)
  if (!metadata.isTensor) throw new InferError('model-load', `${metadata.name} is not a tensor`)
  const datatype = datatypeOf.get(metadata.type)
  if (!datatype)
    throw new InferError(
      'model-load',
      `${metadata.name} is ${metadata.type}, which the inference envelope does not carry`,
    )
  return { name: metadata.name, datatype, shape: [...metadata.shape] }
}
