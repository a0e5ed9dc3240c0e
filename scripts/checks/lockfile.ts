/**
 * package-lock.json installs anywhere: it names no registry, and it has an entry for every optional package, of every
 * platform. npm leaves an entry out when the registry that it was made with lacks the package, and `npm ci` then
 * refuses the whole file.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'

interface LockedPackage {
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
type Packages = Readonly<Record<string, LockedPackage>>

export function lockfile(root: string): string[] {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Packages
  }
  return Object.entries(packages).flatMap(([key, locked]) => [
    ...(locked.resolved === undefined ? [] : [`${key} names where it was downloaded from`]),
    ...Object.keys(locked.optionalDependencies ?? {})
      .filter((name) => !isLocked(packages, key, name))
      .map((name) => `${key} wants ${name}, which has no entry`),
  ])
}

/** Looks where Node would: beside the package that wants it, then one folder further up each time. */
function isLocked(packages: Packages, from: string, name: string): boolean {
  const own = from === '' ? '' : `${from}/`
  if (`${own}node_modules/${name}` in packages) return true
  return (
    from !== '' && isLocked(packages, from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/'))), name)
  )
}
