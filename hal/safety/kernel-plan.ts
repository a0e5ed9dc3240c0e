/**
 * From a configuration to everything that the kernel looks at later: outputs with their rules, what goes safe together,
 * which components share rules. Refuses in one line what cannot be kept.
 */

import { HalError } from '../contract/errors.ts'
import type { OutputSpec } from '../contract/safety.ts'
import { attachConstraints, rulesOf } from './constraints/attach.ts'
import type { Component, Input, Output, Sequence, Unit, VectorRule } from './kernel-output.ts'
import type { KernelComponent, KernelConfig } from './kernel-types.ts'

/** A device with more has lost count of what it moves. */
const outputsMax = 1024

export interface Plan {
  readonly components: ReadonlyMap<string, Component>
  readonly outputs: ReadonlyMap<string, Output>
  readonly inputs: ReadonlyMap<string, Input>
  readonly units: readonly Unit[]
  readonly sequences: readonly Sequence[]
  readonly rules: readonly VectorRule[]
  /** Outputs with a longest on-time. */
  readonly limitedOn: readonly Output[]
  /** Outputs that ramp. */
  readonly slewed: readonly Output[]
}

/** Throws HalError `malformed`. */
export function planKernel(config: KernelConfig, nowMs: number): Plan {
  for (const key of ['silenceMsMax', 'rampTickMs'] as const) {
    if (!(Number.isFinite(config[key]) && config[key] > 0)) {
      throw new HalError('malformed', `safety: ${key} is ${config[key]}, must be above 0`)
    }
  }
  const components = new Map<string, Component>()
  const outputs = new Map<string, Output>()
  for (const given of config.components) {
    if (components.has(given.id)) throw new HalError('malformed', `safety: two components are "${given.id}"`)
    components.set(given.id, addComponent(given, outputs, nowMs))
  }
  if (outputs.size > outputsMax) {
    throw new HalError('malformed', `safety: ${outputs.size} outputs, at most ${outputsMax}`)
  }
  const inputs = readInputs(config.inputs, outputs)
  attachConstraints(config.constraints, { outputs, inputs }, nowMs)
  groupComponents([...components.values()])
  const all = [...outputs.values()]
  const units = [...new Set(all.map((output) => output.unit))]
  return {
    components,
    outputs,
    inputs,
    units,
    sequences: units.flatMap(({ sequence }) => sequence ?? []),
    rules: [...rulesOf({ outputs, inputs })],
    limitedOn: all.filter((output) => output.longest.length > 0),
    slewed: all.filter((output) => Number.isFinite(output.slewPerS)),
  }
}

function addComponent(config: KernelComponent, all: Map<string, Output>, nowMs: number): Component {
  const component: Component = {
    id: config.id,
    config,
    outputs: [],
    byLocal: new Map(),
    lease: undefined,
    group: [],
    faulty: false,
  }
  for (const spec of config.outputs) {
    checkSpec(`${config.id}.${spec.name}`, spec)
    const output = newOutput(component, spec, nowMs)
    if (all.has(output.name)) throw new HalError('malformed', `safety: two outputs are "${output.name}"`)
    all.set(output.name, output)
    component.outputs.push(output)
    component.byLocal.set(spec.name, output)
  }
  return component
}

function newOutput(component: Component, spec: OutputSpec, nowMs: number): Output {
  const output: Omit<Output, 'unit'> = {
    name: `${component.id}.${spec.name}`,
    local: spec.name,
    component,
    spec,
    safe: spec.safe,
    min: spec.min,
    max: spec.max,
    rangeBecause: undefined,
    slewPerS: spec.slewPerS ?? Number.POSITIVE_INFINITY,
    value: spec.safe,
    next: spec.safe,
    target: spec.safe,
    slewedAtMs: nowMs,
    held: false,
    switchedAtMs: nowMs,
    differsSinceMs: undefined,
    rules: [],
    minimums: [],
    longest: [],
    rates: [],
  }
  // Alone until a sequence says otherwise.
  const whole = output as Output
  whole.unit = { outputs: [whole], sequence: undefined, level: 0 }
  return whole
}

function checkSpec(name: string, spec: OutputSpec): void {
  const fail = (message: string) => {
    throw new HalError('malformed', `safety: output "${name}": ${message}`)
  }
  const { type, safe, min, max, slewPerS, readBackMsMax, readBackTolerance } = spec
  if (!(min <= safe && safe <= max && Number.isFinite(max - min))) {
    fail(`its safe value ${safe} must lie within ${min} to ${max}`)
  }
  if (type === 'binary' && !(min === 0 && max === 1 && (safe === 0 || safe === 1))) {
    fail('a binary output goes from 0 to 1')
  }
  if (slewPerS !== undefined && !(Number.isFinite(slewPerS) && slewPerS > 0 && type === 'number')) {
    fail(`slewPerS ${slewPerS} must be above 0, and of a number`)
  }
  for (const value of [readBackMsMax, readBackTolerance]) {
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
      fail('readBackMsMax and readBackTolerance must be numbers of at least 0')
    }
  }
}

function readInputs(names: readonly string[], outputs: ReadonlyMap<string, Output>): Map<string, Input> {
  const inputs = new Map<string, Input>()
  for (const name of names) {
    if (inputs.has(name) || outputs.has(name)) {
      throw new HalError('malformed', `safety: two inputs or outputs are "${name}"`)
    }
    inputs.set(name, { name, value: Number.NaN, rules: [] })
  }
  return inputs
}

/** Components whose outputs meet in a rule or a sequence, directly or through others, share one list. */
function groupComponents(components: readonly Component[]): void {
  const seen = new Set<Component>()
  for (const start of components) {
    if (seen.has(start)) continue
    const group = new Set([start])
    for (const component of group) {
      for (const output of component.outputs) {
        const near = [...output.unit.outputs, ...output.rules.flatMap((rule) => rule.tiers.flat())]
        for (const { component: other } of near) group.add(other)
      }
    }
    const list = [...group]
    for (const component of list) {
      component.group = list
      seen.add(component)
    }
  }
}
