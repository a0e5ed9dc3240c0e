/** Reads YAML files that people write: configurations by section, and others. What they may hold is their reader's to check. */
import { readFileSync, statSync } from 'node:fs'
import { parseDocument, stringify } from 'yaml'
import { messageOf, UsageError } from './errors.ts'

/** Sections that a file may hold. */
const sections: readonly string[] = ['device', 'gateway']
const fileBytesMax = 256 * 1024

/** Throws UsageError with one line that names the file and the place. */
export function readConfigSection(file: string, section: 'device' | 'gateway'): Record<string, unknown> {
  const root = parse(file)
  for (const key of Object.keys(root)) {
    if (!sections.includes(key))
      throw new UsageError(`${file}: unknown section "${key}"; the sections are ${sections.join(' and ')}`)
  }
  const value = root[section] ?? {}
  if (!isRecord(value)) throw new UsageError(`${file}: ${section} must hold keys and values`)
  return value
}

function parse(file: string): Record<string, unknown> {
  const root = readYaml(file, `the configuration ${file}`, fileBytesMax) ?? {}
  if (!isRecord(root)) throw new UsageError(`${file}: must hold the sections ${sections.join(' and ')}`)
  return root
}

/** What a YAML file holds. Throws UsageError that names the file, as `what` where it cannot be read, and the place in it. */
export function readYaml(file: string, what: string, bytesMax: number): unknown {
  let text: string
  try {
    if (statSync(file).size > bytesMax) throw new UsageError(`larger than ${bytesMax} bytes`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read ${what}: ${messageOf(error)}`, { cause: error })
  }
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error) throw new UsageError(`${file}: ${messageOf(error).split('  ')[0]}`)
  try {
    return document.toJS({ maxAliasCount: 20 })
  } catch (cause) {
    // An alias without its anchor, or too many of them.
    throw new UsageError(`${file}: ${messageOf(cause)}`, { cause })
  }
}

/** YAML of a value, as a person would write it. */
export function yamlOf(value: unknown): string {
  return stringify(value, { lineWidth: 110 })
}

/** True for an object that holds keys and values. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
