/**
 * The files that every machine is made of: the engine and the guest in it. A bundle holds the guest stripped of its types
 * already, and the same bytes.
 */
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { MachinesInit } from './messages.ts'

/** Reads them from disk. Throws where the engine is not installed. */
export function readEngineFiles(): MachinesInit {
  const strip = import.meta.url.endsWith('.ts') ? stripTypeScriptTypes : (code: string) => code
  const stripped = (file: URL) => strip(readFileSync(file, 'utf8'))
  return {
    wasm: readFileSync(fileURLToPath(import.meta.resolve('quickjs-wasi/quickjs.wasm'))),
    guest: {
      'ganglion:guest': stripped(new URL('./guest.ts', import.meta.url)),
      'ganglion:guest-calls': stripped(new URL('./guest-calls.ts', import.meta.url)),
      'ganglion:guest-checks': stripped(new URL('./guest-checks.ts', import.meta.url)),
      'ganglion:guest-tasks': stripped(new URL('./guest-tasks.ts', import.meta.url)),
    },
  }
}
