/**
 * Do the rules of a configuration name outputs and inputs that there are, and each output in one sequence only? What else a
 * rule means is the kernel's business.
 */
import type { Driver } from '../contract/driver.ts'
import type { SafetyConfig } from '../contract/hardware-config.ts'
import type { Constraint } from '../contract/safety.ts'
import { withPart } from '../safety/driven.ts'
import { didYouMean } from './nearest.ts'
import type { AttachedPart } from './plan.ts'

/** One line for each mistake. */
export function checkConstraints(
  safety: SafetyConfig,
  parts: readonly AttachedPart[],
  drivers: ReadonlyMap<string, Driver | undefined>,
): string[] {
  const outputs = parts.flatMap((part) => outputsOf(part, drivers.get(part.id)))
  const inputs = (safety.inputs ?? []).map(({ name }) => name)
  const sequences = new Map(parts.flatMap((part) => ownSequences(part, drivers.get(part.id))))
  return (safety.constraints ?? []).flatMap((constraint, index) => {
    const place = `hardware.safety.constraints[${index}] (${constraint.rule})`
    const unknown = outputNames(constraint)
      .filter((name) => !outputs.includes(name))
      .map((name) => `there is no output "${name}"${didYouMean(name, outputs)}`)
    const needs =
      constraint.rule === 'dependency' && ![...outputs, ...inputs].includes(constraint.needs)
        ? [`there is no output or input "${constraint.needs}"${didYouMean(constraint.needs, outputs)}`]
        : []
    const again = secondSequence(constraint, place, sequences)
    return [...new Set([...unknown, ...needs, ...stateMistakes(constraint), ...again])].map(
      (line) => `${place}: ${line}`,
    )
  })
}

function outputsOf(part: AttachedPart, driver: Driver | undefined): string[] {
  if (driver?.role !== 'actuator') return []
  return driver.outputs(part.options).map(({ name }) => `${part.id}.${name}`)
}

/** Outputs that the part's driver moves in a sequence, each with where that is said. */
function ownSequences(part: AttachedPart, driver: Driver | undefined): [string, string][] {
  if (driver?.role !== 'actuator') return []
  return (driver.constraints?.(part.options) ?? [])
    .filter(({ rule }) => rule === 'sequence')
    .flatMap((rule) => outputNames(withPart(part.id, rule)))
    .map((output) => [output, `of the driver ${part.driver} of ${part.place}`])
}

/** `sequences` says of each output which sequence it is in; those of this one are added. */
function secondSequence(constraint: Constraint, place: string, sequences: Map<string, string>): string[] {
  if (constraint.rule !== 'sequence') return []
  const taken = constraint.outputs.find((output) => sequences.has(output))
  const first = taken === undefined ? undefined : sequences.get(taken)
  for (const output of constraint.outputs) if (!sequences.has(output)) sequences.set(output, `of ${place}`)
  return first === undefined ? [] : [`"${taken}" is in another sequence already: that ${first}`]
}

function outputNames(constraint: Constraint): readonly string[] {
  if ('groups' in constraint) return constraint.groups.flat()
  if (!('outputs' in constraint)) return [constraint.output]
  if (constraint.rule === 'permissive') return [...constraint.outputs, ...constraint.together.flat()]
  return constraint.outputs
}

function stateMistakes(constraint: Constraint): string[] {
  if (constraint.rule !== 'sequence') return []
  const states = Object.keys(constraint.states)
  const steps = constraint.steps.flatMap(({ from, to }) =>
    [from, to].filter((name) => !states.includes(name)).map((name) => `there is no state "${name}"`),
  )
  const foreign = Object.entries(constraint.states).flatMap(([state, values]) => [
    ...Object.keys(values)
      .filter((output) => !constraint.outputs.includes(output))
      .map((output) => `state ${state} sets ${output}, which is not one of its outputs`),
    ...constraint.outputs
      .filter((output) => !(output in values))
      .map((output) => `state ${state} does not say what ${output} is`),
  ])
  return [...steps, ...foreign]
}
