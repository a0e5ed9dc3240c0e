/**
 * `npm run check [NAME…]`: everything about the code that can be said without running it. One line per check with its
 * time, the problems below it, and a last line `N passed, N failed`. Ends with 1 when one failed.
 */
import path from 'node:path'
import { checkDoors, describeViolation } from '../test/arch/doors.ts'
import { contents, lengths, names, readmes } from './checks/house.ts'
import { lockfile } from './checks/lockfile.ts'
import { toolProblems } from './checks/tool.ts'

const root = path.dirname(import.meta.dirname)
const modules = path.join(root, 'node_modules')

/** More than a screen of one check hides the others. */
const problemsShown = 40

interface Check {
  readonly name: string
  /** One line for each problem; none is good. */
  readonly run: () => Promise<string[]> | string[]
}

async function doors(): Promise<string[]> {
  const report = await checkDoors(root)
  const unread = report.files.filter((file) => !report.modules.includes(file))
  return [...unread.map((file) => `${file} was not read`), ...report.violations.map(describeViolation)]
}

const tool = (script: string, ...args: string[]) => toolProblems(root, path.join(modules, script), args)

const checks: readonly Check[] = [
  { name: 'types', run: () => tool('typescript/bin/tsc', '-p', '.') },
  { name: 'types-dashboard', run: () => tool('typescript/bin/tsc', '--noEmit', '-p', 'gateway/dashboard') },
  {
    name: 'lint',
    run: () => tool('@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '--colors=off', '.'),
  },
  { name: 'doors', run: doors },
  { name: 'unused', run: () => tool('knip/bin/knip.js', '--no-progress', '--no-config-hints') },
  { name: 'lockfile', run: () => lockfile(root) },
  { name: 'lengths', run: () => lengths(root) },
  { name: 'names', run: () => names(root) },
  { name: 'readmes', run: () => readmes(root) },
  { name: 'contents', run: () => contents(root) },
]

/** True when the check found nothing. */
async function report({ name, run }: Check): Promise<boolean> {
  const startedMs = performance.now()
  const problems = await run()
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  process.stdout.write(
    `${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(16)} ${seconds.padStart(5)} s\n`,
  )
  for (const problem of problems.slice(0, problemsShown)) process.stdout.write(`     ${problem}\n`)
  const more = problems.length - problemsShown
  if (more > 0)
    process.stdout.write(`     and ${more} lines more: "npm run check -- ${name}" after mending these\n`)
  return problems.length === 0
}

async function main(wanted: readonly string[]): Promise<number> {
  const unknown = wanted.filter((name) => !checks.some((check) => check.name === name))
  if (unknown.length > 0) {
    process.stderr.write(
      `check: no ${unknown.join(', ')}; there are ${checks.map(({ name }) => name).join(', ')}\n`,
    )
    return 2
  }
  let passed = 0
  const chosen = wanted.length === 0 ? checks : checks.filter(({ name }) => wanted.includes(name))
  for (const check of chosen) if (await report(check)) passed += 1
  process.stdout.write(`${passed} passed, ${chosen.length - passed} failed\n`)
  return passed === chosen.length ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
