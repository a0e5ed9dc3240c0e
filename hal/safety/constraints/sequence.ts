/**
 * Outputs that move through named states only, and only by the listed steps after their waiting times. The quickest way
 * from every state to the safe one is found when the kernel opens (Dijkstra's algorithm, backwards from the safe state).
 */
import type { Constraint } from '../../contract/safety.ts'
import { type Output, reason, type Sequence, type SequenceState } from '../kernel-output.ts'
import { rangeBroken } from './range.ts'
import type { Scope } from './scope.ts'

const statesMax = 64

export function attachSequence(
  definition: Extract<Constraint, { rule: 'sequence' }>,
  scope: Scope,
  nowMs: number,
): Sequence {
  const outputs = scope.distinctOutputs(definition.outputs, 1)
  for (const output of outputs) {
    if (output.unit.sequence) scope.fail(`"${output.name}" is in another sequence already`)
    if (Number.isFinite(output.slewPerS)) scope.fail(`"${output.name}" slews, so it has no exact states`)
  }
  const states = readStates(definition, outputs, scope)
  readSteps(definition, states, scope)
  const safe = [...states.values()].find((state) => outputs.every((o) => state.values.get(o) === o.safe))
  if (!safe) scope.fail('none of its states is the safe one: give it a state with every safe value')
  findWaysTo(safe, [...states.values()])
  const stranded = [...states.values()].find((state) => state !== safe && !state.onward)
  if (stranded) scope.fail(`no steps lead from "${stranded.name}" to the safe state "${safe.name}"`)
  const sequence: Sequence = {
    outputs,
    states: [...states.values()],
    because: definition.because,
    current: safe,
    enteredAtMs: nowMs,
    walking: false,
  }
  const unit = { outputs, sequence, level: 0 as const }
  for (const output of outputs) output.unit = unit
  return sequence
}

type Definition = Extract<Constraint, { rule: 'sequence' }>

function readStates(
  definition: Definition,
  outputs: readonly Output[],
  scope: Scope,
): Map<string, SequenceState> {
  const states = new Map<string, SequenceState>()
  const seen = new Map<string, string>()
  for (const [name, given] of Object.entries(definition.states)) {
    for (const key of Object.keys(given)) {
      if (!definition.outputs.includes(key)) scope.fail(`state "${name}" sets "${key}", not of its outputs`)
    }
    const values = outputs.map((output) => stateValue(name, output, given[output.name], scope))
    const same = seen.get(values.join())
    if (same !== undefined) scope.fail(`states "${same}" and "${name}" are the same`)
    seen.set(values.join(), name)
    const byOutput = new Map(outputs.map((output, at) => [output, values[at] ?? Number.NaN]))
    states.set(name, { name, values: byOutput, steps: new Map(), onward: undefined })
  }
  if (states.size > statesMax) scope.fail(`it has more than ${statesMax} states`)
  return states
}

function stateValue(state: string, output: Output, value: number | undefined, scope: Scope): number {
  if (value === undefined) scope.fail(`state "${state}" does not say what "${output.name}" is`)
  const broken = rangeBroken(output, value)
  if (broken) scope.fail(`state "${state}": ${broken}`)
  return value
}

function readSteps(definition: Definition, states: Map<string, SequenceState>, scope: Scope): void {
  for (const { from, to, afterMs } of definition.steps) {
    const start = states.get(from) ?? scope.fail(`a step starts at "${from}", which is no state`)
    const end = states.get(to) ?? scope.fail(`a step ends at "${to}", which is no state`)
    if (start === end) scope.fail(`a step leads from "${from}" to itself`)
    if (start.steps.has(end)) scope.fail(`two steps lead from "${from}" to "${to}"`)
    start.steps.set(end, scope.number(`afterMs from "${from}" to "${to}"`, afterMs, 0))
  }
}

function findWaysTo(safe: SequenceState, states: readonly SequenceState[]): void {
  const distance = new Map<SequenceState, number>([[safe, 0]])
  const open = new Set(states)
  for (;;) {
    let nearest: SequenceState | undefined
    for (const state of open) {
      const far = distance.get(state) ?? Number.POSITIVE_INFINITY
      if (far < (nearest ? (distance.get(nearest) ?? 0) : Number.POSITIVE_INFINITY)) nearest = state
    }
    if (!nearest) return
    open.delete(nearest)
    for (const state of open) {
      const afterMs = state.steps.get(nearest)
      if (afterMs === undefined) continue
      const far = (distance.get(nearest) ?? 0) + afterMs
      if (far >= (distance.get(state) ?? Number.POSITIVE_INFINITY)) continue
      distance.set(state, far)
      state.onward = { to: nearest, afterMs }
    }
  }
}

/** The state that the vector under judgement is in; undefined when it is none. */
export function stateUnderJudgement(sequence: Sequence): SequenceState | undefined {
  return sequence.states.find((state) => sequence.outputs.every((o) => state.values.get(o) === o.next))
}

/** Why the sequence may not be commanded into the vector under judgement now; undefined when it may. */
export function sequenceBroken(sequence: Sequence, nowMs: number): string | undefined {
  const { current, enteredAtMs, because, outputs } = sequence
  if (sequence.walking) {
    return `${outputs.map((o) => o.name).join(', ')}: on the way to the safe state${reason(because)}`
  }
  const wanted = stateUnderJudgement(sequence)
  if (wanted === current) return undefined
  const names = outputs.map((o) => `${o.name}=${o.next}`).join(' ')
  if (!wanted) return `${names} is none of its states${reason(because)}`
  const afterMs = current.steps.get(wanted)
  if (afterMs === undefined) {
    return `"${wanted.name}" does not follow "${current.name}"${reason(because)}`
  }
  if (nowMs - enteredAtMs >= afterMs) return undefined
  return `"${wanted.name}" follows "${current.name}" after ${afterMs} ms at the earliest${reason(because)}`
}
