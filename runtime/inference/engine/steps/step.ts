/**
 * What a step is: prepared once for a model, with the datatypes that come in, then run over tensors. Preparing finds every
 * mistake that can be found without a tensor; tables and filters are made there.
 */
import { type Datatype, InferError, type TensorArrays } from '../../../wire/infer.ts'

/** A tensor without its name. */
export type Content = {
  [D in Datatype]: { readonly datatype: D; readonly shape: readonly number[]; readonly data: TensorArrays[D] }
}[Datatype]
export type ContentOf<D extends Datatype> = Extract<Content, { datatype: D }>

/** Datatypes whose elements are JavaScript numbers. */
export const numeric = ['UINT8', 'INT8', 'INT16', 'INT32', 'FP32', 'FP64'] as const
export type Numeric = (typeof numeric)[number]
export type Numbers = TensorArrays[Numeric]
export type ArrayOf<D extends Numeric> = TensorArrays[D]

/** Where a step gets the arrays that it writes into. */
export interface Buffers {
  /** What it holds is undefined. Throws StepFault for more elements than one tensor may have. */
  take<D extends Numeric>(datatype: D, length: number): ArrayOf<D>
  /** Throws StepFault for a length that `take` would refuse. */
  bound(length: number): void
  /** Back already: what a step needed for itself. */
  give(array: Numbers): void
}

/** What a step gives: tensor, or tensors of a list, by port. */
export type Given<O extends string> = { readonly [P in O]?: Content | readonly Content[] }

export interface Prepared<I extends string, O extends string> {
  readonly types: { readonly [P in O]?: Datatype }
  /** Ports whose output is a list. */
  readonly lists?: readonly O[]
  /** Inputs have the datatypes that were promised; shapes are unchecked. Throws StepFault. */
  run(inputs: Readonly<Record<I, Content>>, buffers: Buffers): Given<O>
}

export interface StepKind<S, I extends string = string, O extends string = string> {
  /** Datatypes that each port takes; `''` stands for the ports that are not named. Absent: any. */
  readonly takes?: { readonly [P in I | '']?: readonly Datatype[] }
  /** `files`: lines of the text file of a role. Throws StepFault. */
  prepare(step: S, types: Readonly<Record<I, Datatype>>, files: Lines): Prepared<I, O>
}

export type Lines = (role: string) => readonly string[]

/** One line that says what is wrong, without the step's name, which the pipeline puts in front. */
export class StepFault extends Error {
  override readonly name = 'StepFault'
}

export function fault(line: string): never {
  throw new StepFault(line)
}

/** The error of a pipeline at a step: `bad-input` where what came in is to blame, else `run`. */
export function stepError(where: string, error: unknown, fromModel: boolean): unknown {
  if (error instanceof InferError)
    return new InferError(error.code, `${where}: ${error.message}`, { cause: error })
  if (!(error instanceof StepFault)) return error
  return new InferError(fromModel ? 'run' : 'bad-input', `${where}: ${error.message}`)
}

/** What a step that moves elements makes of a tensor; `take` gives the array of the tensor's own datatype. */
type Move = (
  content: Content,
  take: (length: number) => Numbers,
) => { readonly shape: readonly number[]; readonly data: Numbers }

/** A step that moves elements of one tensor, whatever numbers they are. */
export function moving<S>(prepare: (step: S) => Move): StepKind<S, 'in', 'out'> {
  return {
    takes: { in: numeric },
    prepare(step, types) {
      const datatype = types.in as Numeric
      const move = prepare(step)
      return {
        types: { out: datatype },
        run({ in: content }, buffers) {
          const moved = move(content, (length) => buffers.take(datatype, length))
          return { out: { datatype, ...moved } as Content }
        },
      }
    },
  }
}

/** Elements `start` up to, not including, `end`, to a place of another array. */
export function copy(from: Numbers, start: number, end: number, to: Numbers, at: number): void {
  to.set(from.subarray(start, end) as Float32Array, at)
}

export function numbersOf(content: Content): Numbers {
  return content.data as Numbers
}

/** The numbers of an FP32 tensor. The pipeline has checked the datatype. */
export function floatsOf(content: Content): Float32Array {
  return content.data as Float32Array
}

/** `FP32 [2,3]`. */
export function describe({ datatype, shape }: Content): string {
  return `${datatype} [${shape}]`
}

export interface Picture {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly data: Uint8Array | Float32Array
}

/** A picture of rows of pixels, [h,w,c]. Throws StepFault where it is none or has no pixel. */
export function pictureOf(content: Content): Picture {
  const [height = 0, width = 0, channels = 0] = content.shape
  if (content.shape.length !== 3 || channels < 1 || channels > 4)
    fault(`${describe(content)} is not a picture; expected [height,width,channels] with 1 to 4 channels`)
  if (height === 0 || width === 0) fault(`${describe(content)} is a picture without a pixel`)
  return { height, width, channels, data: content.data as Uint8Array | Float32Array }
}

/** The shape without the ones in front of its last `rank` lengths. Throws StepFault where it has others there. */
export function lastAxes(content: Content, rank: number, what: string): readonly number[] {
  const front = content.shape.length - rank
  if (front < 0 || content.shape.slice(0, front).some((length) => length !== 1))
    fault(`${describe(content)} is not ${what}`)
  return content.shape.slice(front)
}

/** An axis counted from 0. Throws StepFault. */
export function axisOf(content: Content, axis: number): number {
  const rank = content.shape.length
  const at = axis < 0 ? axis + rank : axis
  if (at < 0 || at >= rank) fault(`${describe(content)} has no axis ${axis}`)
  return at
}

/** How elements lie around an axis: element (o, i, n) is at (o × length + i) × inner + n. */
export function around(content: Content, axis: number): { outer: number; length: number; inner: number } {
  const at = axisOf(content, axis)
  const product = (lengths: readonly number[]) => lengths.reduce((a, b) => a * b, 1)
  return {
    outer: product(content.shape.slice(0, at)),
    length: content.shape[at] as number,
    inner: product(content.shape.slice(at + 1)),
  }
}
