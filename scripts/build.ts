/**
 * `npm run build`: what a device and a gateway need, in `dist/`. Three programs beside each other (`ganglion.js`,
 * `gateway.js`, `engine.js`) with the pieces that they load when needed, the files that they read, and the page.
 * Stripping types at run time costs a device 17 MB and 0.2 s: these are stripped.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { rolldown } from 'rolldown'
import { assetPlugin } from './build/assets.ts'
import { nativeReport } from './build/native.ts'

const root = path.dirname(import.meta.dirname)
const out = path.join(root, 'dist')

/** Program name in `dist/` to its entry file; `runtime/base/program.ts` finds siblings by these names. */
const entries = {
  ganglion: 'runtime/main.ts',
  gateway: 'gateway/main.ts',
  engine: 'runtime/inference/engine/main.ts',
  'safety-thread': 'hal/safety/thread.ts',
  'make-safe': 'hal/safety/make-safe.ts',
  'sensor-worker': 'hal/attached/sensor-worker.ts',
  'machines-worker': 'runtime/agent/vm/machines-worker.ts',
}

/** Native, or looks for its own files at run time: installed beside the bundle. */
const externals = ['onnxruntime-node', 'systeminformation', 'koffi', 'quickjs-wasi']

async function main(): Promise<number> {
  const missing = Object.values(entries).filter((entry) => !existsSync(path.join(root, entry)))
  if (missing.length > 0) {
    process.stderr.write(`build: ${missing.join(', ')} is missing from this checkout\n`)
    return 1
  }
  for (const name of existsSync(out) ? readdirSync(out) : [])
    if (name !== 'docs') rmSync(path.join(out, name), { recursive: true })
  await bundle()
  writePackage()
  printSizes()
  for (const line of nativeReport(root)) process.stdout.write(`${line}\n`)
  return 0
}

async function bundle(): Promise<void> {
  const build = await rolldown({
    cwd: root,
    input: Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, path.join(root, entry)])),
    platform: 'node',
    external: externals.map((name) => new RegExp(`^${name}(/|$)`)),
    plugins: [assetPlugin(root, entries)],
    checks: { pluginTimings: false },
  })
  try {
    // Flat, so that `./engine.js` is beside whichever piece asks for it.
    const flat = { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' }
    // A program's text stays in memory while it runs, and a text with one letter that is not Latin takes twice the room.
    const small = { minify: false, charset: 'ascii', comments: { annotation: false, jsdoc: false } } as const
    await build.write({ dir: out, format: 'esm', ...small, ...flat })
  } finally {
    await build.close()
  }
}

/** What the device installs beside the bundle, pinned as here. */
function writePackage(): void {
  const { name, version, license, engines, dependencies } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  )
  const pinned = Object.fromEntries(externals.map((external) => [external, dependencies[external]]))
  const manifest = { name, version, license, private: true, type: 'module', engines, dependencies: pinned }
  writeFileSync(path.join(out, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

function printSizes(): void {
  const sizes = readdirSync(out)
    .filter((name) => name !== 'docs')
    .map((name): [string, number] => [name, sizeOf(path.join(out, name))])
    .sort(([, left], [, right]) => right - left)
  for (const [name, bytes] of sizes) process.stdout.write(`${kilobytes(bytes)}  dist/${name}\n`)
  process.stdout.write(`${kilobytes(sizes.reduce((sum, [, bytes]) => sum + bytes, 0))}  in all\n`)
}

function sizeOf(file: string): number {
  const stat = statSync(file)
  if (!stat.isDirectory()) return stat.size
  return readdirSync(file).reduce((sum, name) => sum + sizeOf(path.join(file, name)), 0)
}

const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1).padStart(9)} kB`

process.exitCode = await main()
