/** Reads one section of a YAML configuration file. The schema of the section is its reader's. */
import { readFileSync, statSync } from 'node:fs'
import { parseDocument } from 'yaml'
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
  let text: string
  try {
    if (statSync(file).size > fileBytesMax) throw new UsageError(`larger than ${fileBytesMax} bytes`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read the configuration ${file}: ${messageOf(error)}`, { cause: error })
  }
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error) throw new UsageError(`${file}: ${messageOf(error).split('  ')[0]}`)
  const root = document.toJS({ maxAliasCount: 20 }) ?? {}
  if (!isRecord(root)) throw new UsageError(`${file}: must hold the sections ${sections.join(' and ')}`)
  return root
}

/** True for an object that holds keys and values. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
