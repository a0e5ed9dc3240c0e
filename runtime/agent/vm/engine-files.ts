/** The files that every machine is made of: the engine and the guest in it. The same bytes in the source tree and in a bundle. */
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { MachinesInit } from './messages.ts'

/** Reads them from disk. Throws where the engine is not installed. */
export function readEngineFiles(): MachinesInit {
  const stripped = (file: URL) => stripTypeScriptTypes(readFileSync(file, 'utf8'))
  return {
    wasm: readFileSync(fileURLToPath(import.meta.resolve('quickjs-wasi/quickjs.wasm'))),
    guest: {
      'ganglion:guest': stripped(new URL('./guest.ts', import.meta.url)),
      'ganglion:guest-checks': stripped(new URL('./guest-checks.ts', import.meta.url)),
    },
  }
}
