/** Why an agent failed, without its words: what it says of an error may be what it has heard in the home. */
import { turnFaults } from '../turn.ts'

const errorKind = /^(?:Aggregate|Eval|Internal|Range|Reference|Syntax|Type|URI)?Error\b/

/** The fault of its turn, or the kind of its error; `failed` where that is none that everybody knows. */
export function failureCode(reason: string): string {
  const fault = turnFaults.find((one) => reason.startsWith(`${one}: `))
  const [kind = 'failed'] = errorKind.exec(reason) ?? []
  return fault ?? kind
}
