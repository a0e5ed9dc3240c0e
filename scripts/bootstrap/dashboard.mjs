/** Builds the dashboard's page with Vite when it is absent or older than its sources. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { runQuietly } from './child.mjs'
import { BootstrapError } from './progress.mjs'

const folder = 'gateway/dashboard'

/** True when there is a dashboard to build and its page is absent or older than any of its sources. */
export function dashboardIsStale(root) {
  const source = path.join(root, folder)
  if (!existsSync(path.join(source, 'vite.config.ts'))) return false
  const page = statSync(path.join(source, 'dist/index.html'), { throwIfNoEntry: false })
  return !page || newestMs(source) > page.mtimeMs
}

/** Newest change under a folder; folders count too, since removing a file changes only its folder. */
function newestMs(source) {
  let newest = 0
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    if (entry.name === 'dist' || entry.name === 'node_modules' || entry.name.startsWith('.')) continue
    const file = path.join(source, entry.name)
    newest = Math.max(newest, statSync(file).mtimeMs, entry.isDirectory() ? newestMs(file) : 0)
  }
  return newest
}

export async function buildDashboard(root, node, progress, signal) {
  await progress.step('Building the dashboard', async () => {
    const vite = path.join(root, 'node_modules/vite/bin/vite.js')
    const args = [vite, 'build', path.join(root, folder), '--logLevel', 'warn']
    const { code, output } = await runQuietly(node, args, { cwd: root, signal })
    if (code === 0) return
    process.stderr.write(output)
    throw new BootstrapError(`The dashboard did not build (${folder}): the lines above say why`)
  })
}
