/**
 * Makes a program of a TypeScript file and the files that it imports: types stripped, nothing of what it says run. All of it lies
 * in the folder of that file, and it imports `ganglion` besides and nothing else [bundle-1].
 */
import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../base/errors.ts'
import type { Program } from '../vm/machine-pool.ts'
import { BundleError, bundleLimits } from './bundle-error.ts'
import { importsOf } from './imports.ts'
import { stripTypes } from './strip-types.ts'

/** What built-in agents import for `ganglion`. */
const contractFile = fileURLToPath(new URL('../contract.ts', import.meta.url))

/** Throws BundleError `source`, `too-large`; each names the file and the line. */
export function programOfFile(file: string): Program {
  const path = real(file, file)
  const folder = dirname(path)
  const entry = `./${basename(path)}`
  const modules: Record<string, string> = {}
  const waiting = [entry]
  let bytes = 0
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (Object.hasOwn(modules, name)) continue
    if (Object.keys(modules).length >= bundleLimits.modulesMax)
      throw new BundleError(
        'too-large',
        `an agent has at most ${bundleLimits.modulesMax} files: ${name} is one more`,
      )
    const source = stripped(join(folder, name), name)
    bytes += Buffer.byteLength(source)
    if (bytes > bundleLimits.sourceBytesMax)
      throw new BundleError(
        'too-large',
        `the files of an agent have at most ${bundleLimits.sourceBytesMax} bytes together`,
      )
    modules[name] = source
    waiting.push(...importedBy(name, source, folder))
  }
  return { entry, modules }
}

function stripped(path: string, name: string): string {
  const text = readText(path, name)
  if (name.endsWith('.js')) return text
  try {
    return stripTypes(text)
  } catch (error) {
    const { code, stack } = error as { code?: string; stack?: string }
    const line = /^[^\n]*:(\d+)\n/.exec(stack ?? '')?.[1]
    // Node's words for what leaving types out cannot do mean nothing to who writes an agent.
    const what = messageOf(error).replace(/ in strip-only mode$/, ' here')
    const advice = code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' ? ': write it in plain JavaScript' : ''
    throw new BundleError('source', `${name}${line ? `:${line}` : ''}: ${what}${advice}`, { cause: error })
  }
}

function readText(path: string, name: string): string {
  const bytes = bytesOf(path, name)
  if (bytes.byteLength > bundleLimits.sourceBytesMax)
    throw new BundleError(
      'too-large',
      `${name} has ${bytes.byteLength} bytes, more than the ${bundleLimits.sourceBytesMax} allowed`,
    )
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new BundleError('source', `${name} is no text in UTF-8`, { cause: error })
  }
}

function bytesOf(path: string, name: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new BundleError('source', `${name} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

/** Modules that `name` imports, as their names in the program. Throws BundleError `source`. */
function importedBy(name: string, source: string, folder: string): string[] {
  return importsOf(source).flatMap(({ specifier, line }) => {
    const where = `${name}:${line}`
    const said = JSON.stringify(specifier)
    if (specifier === undefined)
      throw new BundleError(
        'source',
        `${where}: import() takes a plain string: what an agent needs is in its bundle`,
      )
    if (specifier === 'ganglion') return []
    if (!/^\.{1,2}\//.test(specifier))
      throw new BundleError(
        'source',
        `${where} imports ${said}: an agent imports "ganglion" and files of its own folder ("./…"), nothing else`,
      )
    const path = join(folder, dirname(name), specifier)
    if (path === contractFile) return []
    const inside = relative(folder, path)
    if (inside.startsWith('..') || isOutside(real(path, `${where} imports ${said}`), folder))
      throw new BundleError('source', `${where} imports ${said}: that is outside of the agent's folder`)
    if (!/\.(ts|js)$/.test(inside))
      throw new BundleError(
        'source',
        `${where} imports ${said}: only .ts and .js files can be imported, by their whole name`,
      )
    return [`./${inside.split(sep).join('/')}`]
  })
}

const isOutside = (path: string, folder: string) => relative(folder, path).startsWith('..')

/** Where a file really is: a link may not lead out. Throws BundleError `source`. */
function real(path: string, what: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    throw new BundleError('source', `${what}: there is no such file`, { cause: error })
  }
}
