/**
 * What a server says of its tools, as much of it as a model is shown. It is text from outside: bounded, on one line, under the server's
 * name; a tool that no permission could name is left out.
 */
import type { Json } from '../contract.ts'
import { plainLine } from '../permissions/approvals.ts'
import type { ListedTool } from './connection.ts'

export interface OfferedTool {
  readonly name: string
  readonly description: string
  readonly parameters: { readonly [key: string]: Json }
  /** The server says that using it twice is as using it once. */
  readonly repeatable: boolean
}

const toolsMax = 32
const descriptionCharsMax = 400
const schemaBytesMax = 4 * 1024
/** As capabilities write names; shorter than patterns may be. */
const nameable = /^[a-z0-9_][a-z0-9_./-]{0,63}$/i

/** The first of each name, and how many were left out. */
export function offered(
  server: string,
  listed: readonly ListedTool[],
): { readonly tools: readonly OfferedTool[]; readonly left: number } {
  const byName = new Map<string, OfferedTool>()
  for (const { name, description = '', inputSchema, annotations = {} } of listed) {
    if (byName.size >= toolsMax) break
    if (!nameable.test(name) || byName.has(name)) continue
    const { readOnlyHint = false, idempotentHint = false } = annotations
    byName.set(name, {
      name,
      description: `Of the outside server ${server}, which says: ${plainLine(description).slice(0, descriptionCharsMax)}`,
      parameters: parametersOf(inputSchema),
      repeatable: readOnlyHint || idempotentHint,
    })
  }
  return { tools: [...byName.values()], left: listed.length - byName.size }
}

/** A schema that is too long to be shown says only that there are fields. */
function parametersOf(schema: object): { readonly [key: string]: Json } {
  const text = JSON.stringify(schema)
  return Buffer.byteLength(text) > schemaBytesMax ? { type: 'object' } : JSON.parse(text)
}
