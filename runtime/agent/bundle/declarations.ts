/** `ganglion.d.ts`: what an editor needs to complete and check an agent. Made from the contract itself, so that it is never older. */
import { readFileSync } from 'node:fs'

/** The contract as an ambient module: bodies and values are left out, as TypeScript asks of declarations. */
export function agentDeclarations(): string {
  const contract = readFileSync(new URL('../contract.ts', import.meta.url), 'utf8')
  const lines = contract
    .replace(/^(export function [^{]*?) \{\n(?: .*\n)*\}/gm, '$1')
    .replace(/^(export const \w+) = (\[[^\]]*\]) as const/gm, '$1: readonly $2')
    .trimEnd()
    .split('\n')
  const inside = lines.map((line) => (line === '' ? '' : `  ${line}`)).join('\n')
  return `// Made by "ganglion agent init". Make it anew after an update: "ganglion agent init" in this folder.\ndeclare module 'ganglion' {\n${inside}\n}\n`
}
