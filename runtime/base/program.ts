/**
 * Where the other programs of this installation are. In the source tree they are `.ts` files in their rooms; in a bundle
 * they lie beside each other in one folder.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export type Program = 'ganglion' | 'gateway' | 'engine'

const sources: Readonly<Record<Program, string>> = {
  ganglion: '../main.ts',
  gateway: '../../gateway/main.ts',
  engine: '../inference/engine/main.ts',
}

/** Absolute path of a program's entry file. */
export function programPath(program: Program): string {
  const source = fileURLToPath(new URL(sources[program], import.meta.url))
  const bundled = fileURLToPath(new URL(`./${program}.js`, import.meta.url))
  return import.meta.url.endsWith('.ts') || !existsSync(bundled) ? source : bundled
}
