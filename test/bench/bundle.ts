/** The bundled programs in `dist/`, as devices run them: built when they are missing or older than a source. */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, statSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '../..')
const dist = path.join(root, 'dist')
const programs = ['ganglion', 'engine', 'gateway'] as const
export type BundledProgram = (typeof programs)[number]
const buildMsMax = 120_000

/** Throws with the build's own words when it fails. */
export function ensureBundle(): void {
  if (programs.every((program) => builtMs(program) > newestSourceMs())) return
  const build = spawnSync(process.execPath, [path.join(root, 'scripts/build.ts')], {
    encoding: 'utf8',
    timeout: buildMsMax,
  })
  if (build.status !== 0)
    throw new Error(`the build failed: ${build.stderr.trim().split('\n').at(-1) ?? build.error}`)
}

export function bundled(program: BundledProgram): string {
  return path.join(dist, `${program}.js`)
}

function builtMs(program: BundledProgram): number {
  return existsSync(bundled(program)) ? statSync(bundled(program)).mtimeMs : 0
}

function newestSourceMs(): number {
  // The page's sources are built by themselves; only their outcome is bundled.
  const sources = globSync('{boards,hal,runtime,gateway}/**/*.{ts,yaml,wav}', {
    cwd: root,
    exclude: (name) => String(name).includes('dashboard'),
  })
  return Math.max(...sources.map((file) => statSync(path.join(root, file)).mtimeMs))
}
