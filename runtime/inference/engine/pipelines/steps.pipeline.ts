/**
 * `steps`: a pipeline that the manifest writes down, as steps over named tensors (`runtime/wire/steps.ts`, `../steps`). File
 * roles: those that its steps name, graphs for `run` and text files of one word a line. A name holds one tensor, or a list of as many
 * as were found; a step over a list does each. Options: `elementsMax` (2^25: a picture of 4K), the elements of one tensor.
 *
 * In and out: what the manifest declares.
 */
import { readFile, stat } from 'node:fs/promises'
import type { EngineModel, TensorSpec } from '../../../wire/engine-protocol.ts'
import { InferError, type Tensor } from '../../../wire/infer.ts'
import { checkSteps, roleOf, type Step } from '../../../wire/steps.ts'
import { fetched, fromOrt, type Meter, type OrtTensor, type Session, toOrt } from '../session.ts'
import { checkInputs, describe } from '../signature.ts'
import { FreeBuffers, RequestBuffers } from '../steps/buffers.ts'
import { type Operation, planOf } from '../steps/plan.ts'
import { joined } from '../steps/shape.ts'
import { type Content, fault, StepFault, stepError } from '../steps/step.ts'
import {
  type ModelSignature,
  type ModelSource,
  numberOption,
  type Pipeline,
  type PipelineKind,
  type Steps,
} from './pipeline.ts'

/** A dictionary of all of Unicode is 6 MB. */
const textBytesMax = 8 * 2 ** 20
/** Elements that steps may go through before the engine looks up: about 5 ms of work on a small core. */
const elementsPerTurn = 2 ** 20

export const stepsPipeline: PipelineKind = {
  name: 'steps',
  roles: [],
  async load(source) {
    const { model } = source
    const signature = signatureOf(model)
    const steps = stepsOf(model, signature)
    const elementsMax = numberOption(model, 'elementsMax', 2 ** 25, { min: 1, max: 2 ** 28 })
    const { graphs, texts } = await filesOf(source, steps)
    const plan = planned(model, () =>
      planOf({
        ...signature,
        steps,
        graph: (role) => graphs.get(role) as Session,
        lines: (role) => texts.get(role) as readonly string[],
      }),
    )
    return new StepsPipeline(signature, plan, graphs, elementsMax)
  },
}

function signatureOf(model: EngineModel): ModelSignature {
  const { inputs = [], outputs = [] } = model
  if (inputs.length > 0 && outputs.length > 0) return { inputs, outputs }
  throw loadError(model, 'pipeline steps needs its inputs and outputs declared')
}

function stepsOf(model: EngineModel, { inputs, outputs }: ModelSignature): readonly Step[] {
  const names = { inputs: inputs.map(({ name }) => name), outputs: outputs.map(({ name }) => name) }
  const checked = checkSteps(model.steps ?? [], names)
  if (checked.ok) return checked.steps
  throw loadError(model, checked.reason)
}

async function filesOf({ model, open }: ModelSource, steps: readonly Step[]) {
  const graphs = new Map<string, Session>()
  const texts = new Map<string, readonly string[]>()
  for (const [at, step] of steps.entries()) {
    const role = roleOf(step)
    if (role === undefined) continue
    const path = model.files[role]
    if (path === undefined)
      throw loadError(model, `step ${at + 1} (${step.step}) needs file ${role}, which is not named`)
    if (step.step !== 'run') texts.set(role, texts.get(role) ?? (await linesOf(model, role, path)))
    else if (!graphs.has(role)) graphs.set(role, await open(role))
  }
  return { graphs, texts }
}

async function linesOf(model: EngineModel, role: string, path: string): Promise<readonly string[]> {
  const { size } = await stat(path).catch((cause) => {
    throw loadError(model, `file ${role} cannot be read`, cause)
  })
  if (size > textBytesMax)
    throw loadError(model, `file ${role} has ${size} bytes; a text file has at most ${textBytesMax}`)
  const lines = (await readFile(path, 'utf8')).split(/\r?\n/)
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

function planned(model: EngineModel, make: () => readonly Operation[]): readonly Operation[] {
  try {
    return make()
  } catch (error) {
    throw error instanceof StepFault ? loadError(model, error.message) : error
  }
}

function loadError(model: EngineModel, line: string, cause?: unknown): InferError {
  return new InferError('model-load', `model ${model.name}: ${line}`, { cause })
}

/** What a name stands for. */
interface Value {
  readonly list: boolean
  readonly items: readonly Content[]
}
type Values = Map<string, Value>

class StepsPipeline implements Pipeline {
  readonly signature: ModelSignature
  readonly #plan: readonly Operation[]
  readonly #graphs: ReadonlyMap<string, Session>
  readonly #free: FreeBuffers

  constructor(
    signature: ModelSignature,
    plan: readonly Operation[],
    graphs: ReadonlyMap<string, Session>,
    elementsMax: number,
  ) {
    this.signature = signature
    this.#plan = plan
    this.#graphs = graphs
    this.#free = new FreeBuffers(elementsMax)
  }

  async *run(inputs: readonly unknown[], meter: Meter): Steps {
    const values: Values = new Map()
    for (const tensor of this.#checked(inputs)) values.set(tensor.name, { list: false, items: [tensor] })
    const buffers = new RequestBuffers(this.#free)
    const turn = new Turn()
    try {
      for (const operation of this.#plan) {
        const results: Record<string, Content | readonly Content[]>[] = []
        const { list, rows } = rowsOf(operation, values)
        for (const row of rows) {
          if (turn.isOver(operation, row)) yield undefined
          results.push(await this.#do(operation, row, buffers, meter))
        }
        write(operation, results, list, values)
        for (const name of operation.done) drop(name, values, buffers)
      }
      return this.signature.outputs.map((spec) => this.#output(spec, values, buffers))
    } finally {
      buffers.giveAll()
    }
  }

  async release(): Promise<void> {
    this.#free.clear()
    for (const graph of this.#graphs.values()) await graph.release()
  }

  #checked(inputs: readonly unknown[]): Tensor[] {
    const tensors = [...checkInputs(inputs, this.signature.inputs).values()]
    for (const tensor of tensors)
      if (tensor.data.length > this.#free.elementsMax)
        throw new InferError(
          'bad-input',
          `input ${tensor.name} is ${describe(tensor)}: ${tensor.data.length} elements; at most ${this.#free.elementsMax} here`,
        )
    return tensors
  }

  async #do(
    operation: Operation,
    row: Readonly<Record<string, Content>>,
    buffers: RequestBuffers,
    meter: Meter,
  ): Promise<Record<string, Content | readonly Content[]>> {
    try {
      if (operation.kind === 'run') return await this.#run(operation, row, meter)
      if (operation.kind === 'join') return { out: join(operation, Object.values(row), buffers) }
      return operation.prepared.run(row, buffers) as Record<string, Content>
    } catch (error) {
      throw stepError(operation.where, error, operation.fromModel)
    }
  }

  async #run(
    { file, fetches }: Extract<Operation, { kind: 'run' }>,
    row: Readonly<Record<string, Content>>,
    meter: Meter,
  ): Promise<Record<string, Content>> {
    const feeds: Record<string, OrtTensor> = {}
    for (const [name, content] of Object.entries(row)) feeds[name] = toOrt({ name, ...content })
    const outputs = await (this.#graphs.get(file) as Session).run(feeds, fetches, meter)
    return Object.fromEntries(fetches.map((name) => [name, fromOrt(name, fetched(outputs, name))]))
  }

  #output(spec: TensorSpec, values: Values, buffers: RequestBuffers): Tensor {
    const [content] = (values.get(spec.name) as Value).items
    const { datatype, shape, data } = content as Content
    const agrees =
      shape.length === spec.shape.length &&
      spec.shape.every((length, axis) => typeof length === 'string' || length === shape[axis])
    if (!agrees)
      throw new InferError(
        'run',
        `output ${spec.name} is ${describe({ datatype, shape })}; declared is ${describe(spec)}`,
      )
    buffers.keep(data)
    return { name: spec.name, datatype, shape, data } as Tensor
  }
}

/** When the engine should look up: between native runs, and after much work of our own. */
class Turn {
  #elements = 0
  #ran = false

  isOver(operation: Operation, row: Readonly<Record<string, Content>>): boolean {
    const over = this.#elements > elementsPerTurn || this.#ran
    if (over) this.#elements = 0
    this.#ran = operation.kind === 'run'
    for (const { data } of Object.values(row)) this.#elements += data.length
    return over
  }
}

/** What an operation reads: once, or once for each of the list that it goes through. A `join` reads a list at once. */
function rowsOf(operation: Operation, values: Values) {
  const read = Object.entries(operation.reads).map(([port, name]) => ({
    port,
    value: values.get(name) as Value,
  }))
  if (operation.kind === 'join') {
    const items = read[0]?.value.items ?? []
    return { list: false, rows: [Object.fromEntries(items.entries()) as Record<string, Content>] }
  }
  const list = read.find(({ value }) => value.list)
  const count = list?.value.items.length ?? 1
  const rows = Array.from({ length: count }, (_, at) =>
    Object.fromEntries(
      read.map(({ port, value }) => [port, (value.list ? value.items[at] : value.items[0]) as Content]),
    ),
  )
  if (read.some(({ value }) => value.list && value.items.length !== count))
    throw stepError(operation.where, new StepFault('it goes through lists of different lengths'), true)
  return { list: list !== undefined, rows }
}

function write(
  { writes }: Operation,
  results: readonly Readonly<Record<string, Content | readonly Content[]>>[],
  list: boolean,
  values: Values,
): void {
  for (const [port, name] of Object.entries(writes)) {
    const given = results.map((result) => result[port] as Content | readonly Content[])
    values.set(name, {
      list: list || given.some((one) => Array.isArray(one)),
      items: given.flat() as Content[],
    })
  }
}

/** Forgets a name; its arrays are used again unless another name shares them. */
function drop(name: string, values: Values, buffers: RequestBuffers): void {
  const dropped = values.get(name)
  values.delete(name)
  const live = new Set([...values.values()].flatMap(({ items }) => items.map(({ data }) => data)))
  for (const { data } of dropped?.items ?? []) if (!live.has(data)) buffers.give(data)
}

/** A list along the first axis. An empty one is a tensor without an element, [0]. */
function join(
  { datatype }: Extract<Operation, { kind: 'join' }>,
  items: readonly Content[],
  buffers: RequestBuffers,
): Content {
  if (datatype !== 'BYTES')
    return items.length === 0
      ? ({ datatype, shape: [0], data: buffers.take(datatype, 0) } as Content)
      : joined(items, 0, datatype, buffers)
  if (items.some(({ shape }) => shape.length !== 1)) fault('it joins words of one axis only')
  const data = items.flatMap((item) => item.data as string[])
  return { datatype, shape: [data.length], data }
}
