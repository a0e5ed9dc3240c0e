/** Node's own stripping of types, without its remark on standard error that it is experimental: that says nothing to a person. */
import { stripTypeScriptTypes } from 'node:module'

/** JavaScript of the same lines and columns. Throws what Node throws. */
export function stripTypes(source: string): string {
  const { emitWarning } = process
  // Made once in a process, in the middle of this call.
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(source)
  } finally {
    process.emitWarning = emitWarning
  }
}
