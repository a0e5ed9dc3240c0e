#!/usr/bin/env node
/** Composition root of the `ganglion` program: hands the HAL and the boards to the command line, and nothing else. */
import { readFileSync } from 'node:fs'
import { runCli } from './cli/cli.ts'

process.exitCode = await runCli(process.argv.slice(2), async () => {
  const [
    { createHal, examine, firstHomeUrl, listDrivers, safetyControl, sharedHomeUrl, takeInventory },
    { boards },
  ] = await Promise.all([import('../hal/index.ts'), import('../boards/index.ts')])
  return {
    hal: createHal(boards),
    firstHome: readFileSync(firstHomeUrl, 'utf8'),
    sharedHome: readFileSync(sharedHomeUrl, 'utf8'),
    boards: boards.map((board) => board.id),
    drivers: listDrivers,
    takeInventory,
    examine: (options) => examine({ ...options, boards }),
    safety: safetyControl,
  }
})
