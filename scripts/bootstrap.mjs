/**
 * `npm start`, `npm test`, `npm run ganglion` and the other commands begin here. Installs what is missing, then
 * hands over to the pinned Node.
 *
 * Runs on the machine's own Node (18 or newer) and on Node's built-in modules only: it is what runs before anything
 * is installed. Invariants: [scripts-1] what it does is said on standard error while it lasts, standard output belongs
 * to the command; [scripts-2] nothing to do, nothing said; [scripts-3] a failure is one line that says what to do.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildDashboard, dashboardIsStale } from './bootstrap/dashboard.mjs'
import { dependencyState, installDependencies, restorePrevious } from './bootstrap/dependencies.mjs'
import { withLock } from './bootstrap/lock.mjs'
import { findNode, handOver } from './bootstrap/node.mjs'
import { BootstrapError, Progress } from './bootstrap/progress.mjs'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

/** What Node calls experimental and the pinned Node has is chosen with care, and nothing that a person should read about. */
const flags = ['--disable-warning=ExperimentalWarning']

/** What each command runs, and whether it needs the dashboard. */
const commands = {
  start: { program: ['runtime/main.ts', 'up'], dashboard: true },
  run: { program: ['runtime/main.ts'], dashboard: true },
  test: { program: ['node_modules/vitest/vitest.mjs', 'run'], dashboard: false },
  board: {
    program: ['node_modules/vitest/vitest.mjs', 'run', '-c', 'vitest.board.config.ts'],
    dashboard: true,
  },
  build: { program: ['scripts/build.ts'], dashboard: true },
  check: { program: ['scripts/check.ts'], dashboard: false },
  docs: { program: ['node_modules/typedoc/bin/typedoc'], dashboard: false },
}

async function main() {
  const [name = '', ...args] = process.argv.slice(2)
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command)
    throw new BootstrapError(`bootstrap: no command "${name}" (${Object.keys(commands).join(', ')})`)
  if (isMissingSomething(command)) await withLock(root, (signal) => prepare(command, signal))
  const [program, ...fixed] = command.program
  if (!existsSync(path.join(root, program)))
    throw new BootstrapError(
      `${program} is missing from this checkout: restore it with "git checkout -- ${program}"`,
    )
  await handOver(findNode(root), [...flags, path.join(root, program), ...fixed, ...args])
}

function isMissingSomething(command) {
  return dependencyState(root).kind !== 'current' || (command.dashboard && dashboardIsStale(root))
}

/** Runs under the lock, so everything is looked at again: another start may have done it meanwhile. */
async function prepare(command, signal) {
  restorePrevious(root)
  const state = dependencyState(root)
  const steps = []
  if (state.kind !== 'current') steps.push((progress) => installDependencies(root, state, progress, signal))
  if (command.dashboard && dashboardIsStale(root))
    steps.push((progress) => buildDashboard(root, findNode(root), progress, signal))
  const progress = new Progress(process.stderr, steps.length)
  for (const step of steps) await step(progress)
}

main().catch((error) => {
  if (!(error instanceof BootstrapError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error.exitCode
})
