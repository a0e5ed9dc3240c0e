/** What a rule may look up while the kernel opens, and how it refuses its definition: one line that names the place. */

import { HalError } from '../../contract/errors.ts'
import type { Constraint } from '../../contract/safety.ts'
import type { Input, Output } from '../kernel-output.ts'

/** Rules on one kernel, and outputs of one rule: more is a mistake, and every judgement stays short. */
export const constraintsMax = 1024
const outputsOfRuleMax = 64

export interface Names {
  readonly outputs: ReadonlyMap<string, Output>
  readonly inputs: ReadonlyMap<string, Input>
}

export class Scope {
  readonly #names: Names
  readonly #place: string

  constructor(names: Names, definition: Constraint, index: number) {
    this.#names = names
    this.#place = `safety constraint ${index + 1} (${definition.rule})`
  }

  fail(message: string): never {
    throw new HalError('malformed', `${this.#place}: ${message}`)
  }

  output(name: string): Output {
    return this.#names.outputs.get(name) ?? this.fail(`there is no output "${name}"${this.#known()}`)
  }

  /** Different outputs, at least `least`. */
  distinctOutputs(names: readonly string[], least: number): readonly Output[] {
    const found = [...new Set(names)].map((name) => this.output(name))
    if (found.length !== names.length) this.fail('it names an output twice')
    if (found.length < least) this.fail(`it needs at least ${least} outputs`)
    if (found.length > outputsOfRuleMax) this.fail(`it names more than ${outputsOfRuleMax} outputs`)
    return found
  }

  outputOrInput(name: string): Output | Input {
    const found = this.#names.outputs.get(name) ?? this.#names.inputs.get(name)
    return found ?? this.fail(`there is no output and no input "${name}"${this.#known()}`)
  }

  /** A finite number of at least `min`. */
  number(what: string, value: number, min: number): number {
    if (!(Number.isFinite(value) && value >= min)) this.fail(`${what} is ${value}, must be at least ${min}`)
    return value
  }

  limits(min: number, max: number): void {
    if (!(min <= max)) this.fail(`min ${min} must not be above max ${max}`)
  }

  #known(): string {
    const names = [...this.#names.outputs.keys()]
    const some = names.slice(0, 8).join(', ')
    return names.length === 0 ? '' : `; there are ${some}${names.length > 8 ? ', …' : ''}`
  }
}
