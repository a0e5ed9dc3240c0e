/** House rules that no linter knows: file lengths and names, READMEs, and what must not be written anywhere. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { sourceFiles } from '../../test/arch/doors.ts'

/** Longer than this, a file has two purposes. */
const linesMax = 500

/** Words that say nothing about what a file does. */
const bannedNames = /(^|[-.])(manager|helpers?|utils?|common|misc|data)([-.]|$)/

/** What no tracked file may hold: it is true of one machine only. */
const bannedContents: readonly {
  readonly what: string
  readonly pattern: RegExp
  readonly except?: string
}[] = [
  { what: 'the host of a package registry', pattern: /https?:\/\/(registry\.|[\w.-]*npmjs|pypi\.)[\w.-]*/ },
  { what: 'a path of one machine', pattern: /(^|[\s'"`(=])\/(work|home\/[a-z]+|Users\/[A-Za-z]+)\/[\w.-]/m },
  {
    what: 'a credential',
    except: 'test/fixtures/',
    pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----|\bnpm_[A-Za-z0-9]{36}\b/,
  },
]

export function lengths(root: string): string[] {
  return sourceFiles(root).flatMap((file) => {
    const lines = readFileSync(path.join(root, file), 'utf8').split('\n').length - 1
    return lines > linesMax ? [`${file} has ${lines} lines, more than ${linesMax}`] : []
  })
}

export function names(root: string): string[] {
  return sourceFiles(root).flatMap((file) => {
    const problems: string[] = []
    const parts = file.split('/')
    const banned = parts.find((part) => bannedNames.test(part))
    if (banned !== undefined) problems.push(`${file}: "${banned}" does not say what it is for`)
    const odd = parts.find((part) => !/^[a-z0-9][a-z0-9.-]*$/.test(part))
    if (odd !== undefined) problems.push(`${file}: "${odd}" is not kebab-case`)
    return problems
  })
}

/** Each room with sources (`hal/sim`, `runtime/link`) and each house (`hal`, `runtime`) has a README.md. */
export function readmes(root: string): string[] {
  const rooms = sourceFiles(root).flatMap((file) => {
    const [house = '', ...rest] = file.split('/')
    return rest.length > 1 && house !== 'scripts' ? [house, `${house}/${rest[0]}`] : [house]
  })
  return [...new Set(rooms)]
    .filter((room) => !existsSync(path.join(root, room, 'README.md')))
    .map((room) => `${room} has no README.md`)
}

export function contents(root: string): string[] {
  return trackedFiles(root).flatMap((file) => {
    const text = readFileSync(path.join(root, file), 'utf8')
    // A NUL byte: not text.
    if (text.includes('\0')) return []
    return bannedContents.flatMap(({ what, pattern, except }) => {
      if (except !== undefined && file.startsWith(except)) return []
      const found = pattern.exec(text)
      if (!found) return []
      const line = text.slice(0, found.index + 1).split('\n').length
      return [`${file}:${line} holds ${what}`]
    })
  })
}

function trackedFiles(root: string): string[] {
  const list = execFileSync('git', ['ls-files', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  return list.split('\0').filter((file) => file !== '' && existsSync(path.join(root, file)))
}
