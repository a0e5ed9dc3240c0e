/**
 * Steps made ready for one model: each prepared with the datatypes that reach it, files and graphs checked, and for each tensor
 * known after which step nobody needs it. Every mistake of a manifest that needs no tensor to show is found here.
 */
import type { TensorSpec } from '../../../wire/engine-protocol.ts'
import type { Datatype } from '../../../wire/infer.ts'
import { type Ports, reads, type Step, type StepOf, writes } from '../../../wire/steps.ts'
import { kindOf } from './index.ts'
import { fault, type Lines, type Numeric, numeric, type Prepared } from './step.ts'

interface Named {
  readonly datatype: Datatype
  /** As many tensors as there were things found. */
  readonly list: boolean
  /** A model's output, or made of one: what is wrong with it is not the caller's mistake. */
  readonly fromModel: boolean
}

interface Common {
  /** `step 3 (nms)`. */
  readonly where: string
  readonly reads: Ports
  readonly writes: Ports
  readonly fromModel: boolean
  /** Names that nobody reads after it. */
  readonly done: readonly string[]
}

export type Operation = Common &
  (
    | { readonly kind: 'run'; readonly file: string; readonly fetches: readonly string[] }
    | { readonly kind: 'join'; readonly datatype: Numeric | 'BYTES' }
    | { readonly kind: 'step'; readonly prepared: Prepared<string, string> }
  )

export interface Graph {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

export interface PlanSource {
  readonly steps: readonly Step[]
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** The graph of a role. */
  readonly graph: (role: string) => Graph
  readonly lines: Lines
}

/** `steps` have passed `checkSteps`. Throws StepFault in one line that names the step. */
export function planOf(source: PlanSource): readonly Operation[] {
  const names = new Map<string, Named>()
  for (const { name, datatype } of source.inputs) names.set(name, { datatype, list: false, fromModel: false })
  const doneAfter = lastReads(source)
  const plan = source.steps.map((step, at): Operation => {
    const where = `step ${at + 1} (${step.step})`
    const common = { where, reads: reads(step), writes: writes(step), done: doneAfter.get(at) ?? [] }
    try {
      return operationOf(step, common, names, source)
    } catch (error) {
      throw error instanceof Error && error.name === 'StepFault' ? fault(`${where}: ${error.message}`) : error
    }
  })
  for (const spec of source.outputs) checkOutput(spec, names.get(spec.name) as Named)
  return plan
}

function operationOf(
  step: Step,
  common: Omit<Common, 'fromModel'>,
  names: Map<string, Named>,
  source: PlanSource,
): Operation {
  const given = Object.values(common.reads).map((name) => names.get(name) as Named)
  const list = given.some((one) => one.list)
  const fromModel = given.some((one) => one.fromModel)
  const write = (types: Readonly<Record<string, Datatype | undefined>>, lists: boolean, model: boolean) => {
    for (const [port, name] of Object.entries(common.writes))
      names.set(name, { datatype: types[port] as Datatype, list: lists, fromModel: model })
  }
  if (step.step === 'run') {
    const graph = source.graph(step.file)
    checkFeeds(step, graph, names)
    const wanted = Object.keys(step.gives).map((name) => outputOf(graph, name))
    write(Object.fromEntries(wanted.map(({ name, datatype }) => [name, datatype])), list, true)
    return { ...common, fromModel, kind: 'run', file: step.file, fetches: Object.keys(step.gives) }
  }
  if (step.step === 'join') {
    const { datatype } = given[0] as Named
    if (!list) fault(`${step.in} is one tensor; expected a list`)
    if (datatype !== 'BYTES' && !isNumeric(datatype))
      fault(`${step.in} is of ${datatype}, which it does not join`)
    write({ out: datatype }, false, fromModel)
    return { ...common, fromModel, kind: 'join', datatype }
  }
  const kind = kindOf(step.step)
  const types: Record<string, Datatype> = {}
  for (const [port, name] of Object.entries(common.reads)) {
    const { datatype } = names.get(name) as Named
    const taken = kind.takes?.[port] ?? kind.takes?.['']
    if (taken && !taken.includes(datatype)) fault(`${name} is ${datatype}; expected ${taken.join(' or ')}`)
    types[port] = datatype
  }
  const prepared = kind.prepare(step, types, source.lines)
  const makesList = prepared.lists !== undefined
  if (list && makesList) fault('it makes a list of each tensor, and was given a list already')
  write(prepared.types, list || makesList, fromModel)
  return { ...common, fromModel, kind: 'step', prepared }
}

function checkFeeds(step: StepOf<'run'>, graph: Graph, names: ReadonlyMap<string, Named>): void {
  for (const input of graph.inputs) {
    const name = step.feeds[input.name]
    if (name === undefined) fault(`file ${step.file} needs input ${input.name}, which is not fed`)
    const { datatype } = names.get(name) as Named
    if (datatype !== input.datatype)
      fault(`${name} is ${datatype}; input ${input.name} of file ${step.file} takes ${input.datatype}`)
  }
  for (const name of Object.keys(step.feeds))
    if (!graph.inputs.some((input) => input.name === name))
      fault(
        `file ${step.file} has no input ${name}; there are: ${graph.inputs.map((input) => input.name).join(', ')}`,
      )
}

function outputOf(graph: Graph, name: string): TensorSpec {
  const found = graph.outputs.find((output) => output.name === name)
  return (
    found ??
    fault(`the graph has no output ${name}; there are: ${graph.outputs.map((one) => one.name).join(', ')}`)
  )
}

function checkOutput({ name, datatype }: TensorSpec, made: Named): void {
  if (made.list) fault(`output ${name} is a list; a step join makes one tensor of it`)
  if (made.datatype !== datatype)
    fault(`output ${name} is declared ${datatype}, but its step makes ${made.datatype}`)
}

function isNumeric(datatype: Datatype): datatype is Numeric {
  return (numeric as readonly Datatype[]).includes(datatype)
}

/** By step: the names that are read there for the last time. */
function lastReads({ steps, outputs }: PlanSource): ReadonlyMap<number, readonly string[]> {
  const last = new Map<string, number>()
  for (const [at, step] of steps.entries()) for (const name of Object.values(reads(step))) last.set(name, at)
  for (const { name } of outputs) last.delete(name)
  const byStep = new Map<number, string[]>()
  for (const [name, at] of last) byStep.set(at, [...(byStep.get(at) ?? []), name])
  return byStep
}
