/** Hangs a rule on every output and input that it reads, so that a change finds the rules it can break. */
import type { Input, Output, VectorRule } from '../kernel-output.ts'

export function attachVectorRule(
  outputs: readonly Output[],
  inputs: readonly Input[],
  definition: Omit<VectorRule, 'readsInput'>,
): void {
  const rule: VectorRule = { ...definition, readsInput: inputs.length > 0 }
  for (const output of outputs) output.rules.push(rule)
  for (const input of inputs) input.rules.push(rule)
}
