/**
 * Finds the Node that runs the product and hands over to it: the one pinned in package.json where npm ships one
 * (Linux on x64 and arm64), else the machine's own if it is new enough.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { BootstrapError } from './progress.mjs'

/** `engines.node` of package.json: the first with type stripping and AsyncDisposableStack without flags. */
const oldest = [24, 15]

/** Path of the Node to use. Throws BootstrapError where there is none. */
export function findNode(root) {
  const pinned = path.join(root, `node_modules/node-${process.platform}-${process.arch}/bin/node`)
  if (existsSync(pinned) && (isThisProcess(pinned) || runs(pinned))) return pinned
  if (isNewEnough(process.versions.node)) return process.execPath
  throw new BootstrapError(
    `Ganglion needs Node ${oldest.join('.')} or newer and this is ${process.version}; npm has no pinned Node that runs on ` +
      `${process.platform} ${process.arch} here. Install one from https://nodejs.org and repeat the command.`,
  )
}

function isThisProcess(file) {
  return realpathSync(file) === realpathSync(process.execPath)
}

/** On a C library that it was not built for (musl), the pinned Node exists and does not run. */
function runs(file) {
  return spawnSync(file, ['--version'], { stdio: 'ignore', timeout: 10_000 }).status === 0
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
}

/**
 * Becomes `node args`. Node 22.15 and newer replace this process; an older one stays as a wrapper that passes signals
 * on and takes over the exit code.
 */
export async function handOver(node, args) {
  if (typeof process.execve === 'function' && process.platform !== 'win32')
    process.execve(node, [node, ...args], process.env)
  process.exitCode = await runChild(node, args)
}

/** [scripts-6] The wrapper ends after the program; if it is killed, the closed channel tells the program to stop. */
function runChild(node, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
    const pass = (signal) => child.kill(signal)
    // A terminal sends Ctrl-C to the whole group, so the child has it already; twice would mean "at once" to a test run.
    const interrupt = () => {
      if (!process.stdin.isTTY) child.kill('SIGINT')
    }
    process.on('SIGTERM', pass).on('SIGHUP', pass).on('SIGINT', interrupt)
    child.on('error', (error) => reject(new BootstrapError(`cannot run ${node}: ${error.message}`)))
    child.on('exit', (code, signal) => resolve(code ?? 128 + (os.constants.signals[signal] ?? 0)))
  })
}
