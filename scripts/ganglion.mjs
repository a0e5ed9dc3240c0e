#!/usr/bin/env node
/** The `ganglion` program for a shell: what "npm run ganglion --" runs, in this very process, so that signals reach it. */
process.argv.splice(2, 0, 'run')
await import('./bootstrap.mjs')
