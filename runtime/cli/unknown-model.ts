/** The line for a model that nobody knows: which was meant, and which there are. */
import { UsageError } from '../base/errors.ts'
import { nearestNames } from '../understanding/spelling.ts'

export function unknownModel(name: string, names: readonly string[]): UsageError {
  const near = nearestNames(name, names, 2)
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}? ` : ''
  return new UsageError(`no model is named ${name}; ${hint}there are: ${names.join(', ') || 'none'}`)
}
