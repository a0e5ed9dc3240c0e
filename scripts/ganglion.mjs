#!/usr/bin/env node
/** The `ganglion` program for a shell: what "npm run ganglion --" runs. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const bootstrap = fileURLToPath(new URL('./bootstrap.mjs', import.meta.url))
process.exitCode =
  spawnSync(process.execPath, [bootstrap, 'run', ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1
