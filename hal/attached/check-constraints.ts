/** Do the rules of a configuration name outputs and inputs that there are? What a rule means is the kernel's business. */
import type { Driver } from '../contract/driver.ts'
import type { SafetyConfig } from '../contract/hardware-config.ts'
import type { Constraint } from '../contract/safety.ts'
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
  return (safety.constraints ?? []).flatMap((constraint, index) => {
    const place = `hardware.safety.constraints[${index}] (${constraint.rule})`
    const unknown = outputNames(constraint)
      .filter((name) => !outputs.includes(name))
      .map((name) => `there is no output "${name}"${didYouMean(name, outputs)}`)
    const needs =
      constraint.rule === 'dependency' && ![...outputs, ...inputs].includes(constraint.needs)
        ? [`there is no output or input "${constraint.needs}"${didYouMean(constraint.needs, outputs)}`]
        : []
    return [...new Set([...unknown, ...needs, ...stateMistakes(constraint)])].map(
      (line) => `${place}: ${line}`,
    )
  })
}

function outputsOf(part: AttachedPart, driver: Driver | undefined): string[] {
  if (driver?.role !== 'actuator') return []
  return driver.outputs(part.options).map(({ name }) => `${part.id}.${name}`)
}

function outputNames(constraint: Constraint): readonly string[] {
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
