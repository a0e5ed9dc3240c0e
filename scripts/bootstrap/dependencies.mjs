/**
 * Dependencies as package-lock.json pins them. npm writes `node_modules/.package-lock.json` last, so that file is the
 * proof of a finished install: [scripts-4] an install that was cut off counts as none. What is there is compared package
 * by package, so an install done by hand is taken as it is.
 */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { runQuietly } from './child.mjs'
import { BootstrapError } from './progress.mjs'

/**
 * `current`: what is installed is what is locked. `absent`: nothing usable is there. `stale`: something else is, and
 * `directMatch` says whether at least each package named in package.json has its locked version.
 */
export function dependencyState(root) {
  const locked = packagesOf(path.join(root, 'package-lock.json'))
  if (!locked)
    throw new BootstrapError(
      'package-lock.json is missing or damaged: restore it with "git checkout -- package-lock.json"',
    )
  const installed = packagesOf(path.join(root, 'node_modules/.package-lock.json'))
  if (!installed) return { kind: 'absent' }
  const differing = Object.keys(locked).filter((key) => key !== '' && !matches(locked[key], installed[key]))
  if (differing.length === 0) return { kind: 'current' }
  const { dependencies, devDependencies } = locked['']
  const direct = new Set(
    Object.keys({ ...dependencies, ...devDependencies }).map((name) => `node_modules/${name}`),
  )
  return { kind: 'stale', directMatch: !differing.some((key) => direct.has(key)) }
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

/** An optional package may be left out: it is for another platform. */
function matches(want, have) {
  if (!have) return want.optional === true
  return have.version === want.version && have.integrity === want.integrity
}

const asideFolder = (root) => path.join(root, '.node_modules.previous')

/** Puts back what an update had set aside when it was killed before its end. Nothing else is lost by that. */
export function restorePrevious(root) {
  const folder = path.join(root, 'node_modules')
  const aside = asideFolder(root)
  if (
    packagesOf(path.join(folder, '.package-lock.json')) ||
    !packagesOf(path.join(aside, '.package-lock.json'))
  )
    return
  rmSync(folder, { recursive: true, force: true })
  renameSync(aside, folder)
}

/** Installs with `npm ci`. A stale install is kept aside until the new one is complete, and put back if it fails. */
export async function installDependencies(root, state, progress, signal) {
  const folder = path.join(root, 'node_modules')
  const aside = asideFolder(root)
  rmSync(aside, { recursive: true, force: true })
  const kept = state.kind === 'stale' && moved(folder, aside)
  const title = state.kind === 'stale' ? 'Updating dependencies' : 'Installing dependencies'
  try {
    await progress.step(title, () => npmCi(root, signal), counter(root))
  } catch (error) {
    if (!kept) throw error
    rmSync(folder, { recursive: true, force: true })
    renameSync(aside, folder)
    if (!state.directMatch || signal.aborted) throw error
    progress.note(
      `${error.message}\nGoing on with the dependencies installed before: the ones named in package.json are the same`,
    )
    return
  }
  rmSync(aside, { recursive: true, force: true })
}

/** False where the folder cannot be renamed, for example because it is a mount. */
function moved(from, to) {
  try {
    renameSync(from, to)
    return true
  } catch {
    return false
  }
}

/** Counts the locked packages for this machine whose package.json has been extracted. */
function counter(root) {
  const packages = packagesOf(path.join(root, 'package-lock.json'))
  const wanted = Object.keys(packages).filter((key) => key !== '' && isForThisMachine(packages[key]))
  return () => [
    wanted.filter((key) => existsSync(path.join(root, key, 'package.json'))).length,
    wanted.length,
  ]
}

function isForThisMachine({ os, cpu, libc }) {
  const fits = (list, value) => list === undefined || [list].flat().includes(value)
  return (
    fits(os, process.platform) && fits(cpu, process.arch) && (libc === undefined || fits(libc, libcFamily()))
  )
}

/** Alpine and its like bring musl's loader; everything else that npm names is glibc. */
function libcFamily() {
  return existsSync('/etc/alpine-release') ? 'musl' : 'glibc'
}

const npmArgs = [
  'ci',
  '--loglevel=error',
  '--no-progress',
  // Nothing here needs an install script; onnxruntime-node's would download CUDA from elsewhere.
  '--ignore-scripts',
  // npm's own pauses between tries add up to minutes before it says that there is no network.
  '--fetch-retries=3',
  '--fetch-retry-mintimeout=1000',
  '--fetch-retry-maxtimeout=8000',
]

async function npmCi(root, signal) {
  // An npm that leaves dot files in place must not leave the proof of an older install.
  rmSync(path.join(root, 'node_modules/.package-lock.json'), { force: true })
  const { file, args, env } = npmCommand(root)
  const { code, output } = await runQuietly(file, [...args, ...npmArgs], { cwd: root, env, signal }).catch(
    (error) => {
      if (error.code !== 'ENOENT') throw error
      throw new BootstrapError('npm is not on the PATH: install Node with npm from https://nodejs.org')
    },
  )
  if (code !== 0) throw new BootstrapError(explain(output, code))
}

/**
 * The npm that started this, on the Node that it started with: `npm` from the PATH would run on the Node in
 * node_modules/.bin, which it is about to delete.
 */
function npmCommand(root) {
  const bin = path.join(root, 'node_modules/.bin')
  const folders = (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((folder) => path.resolve(folder) !== bin)
  const env = { ...process.env, PATH: folders.join(path.delimiter), ONNXRUNTIME_NODE_INSTALL: 'skip' }
  const { npm_execpath: script, npm_node_execpath: node } = process.env
  if (
    script?.endsWith('.js') &&
    node &&
    !node.startsWith(path.join(root, 'node_modules') + path.sep) &&
    existsSync(node)
  )
    return { file: node, args: [script], env }
  return { file: 'npm', args: [], env }
}

const noNetwork =
  /ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|npm (error|ERR!) network/i

/** npm's many lines as one. */
function explain(output, code) {
  if (/ENOSPC/.test(output)) return 'The disk is full: make room (about 1 GB) and repeat the command'
  if (noNetwork.test(output))
    return 'Cannot reach the npm registry: connect this machine, or name a mirror with "npm config set registry URL", and repeat the command'
  const lines = output.split('\n').map((line) => line.replace(/^npm (error|ERR!)\s*/i, '').trim())
  const said = lines.find((line) => line !== '' && !/^code \w+$/.test(line))
  return `npm ci failed${said ? `: ${said}` : ` with code ${code}`}. Run "npm ci --ignore-scripts" to see all of it`
}
