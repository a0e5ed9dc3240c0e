/**
 * Files that the code reads beside itself: `new URL('./x', import.meta.url)`. In a bundle the code has moved, so each
 * such file or folder is copied to `dist/assets/` under its path in the repository, and the address rewritten; the
 * entry of another program becomes that program's bundle. An address of nothing fails the build. TypeScript among them is
 * stripped of its types here, in place, so that a device need not, and brings along what it imports of its own folder.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import path from 'node:path'
import type { Plugin } from 'rolldown'
import { importsOf } from '../../runtime/agent/bundle/imports.ts'

const address = /new URL\(\s*'(?!\w+:)([^'$]+)',\s*import\.meta\.url,?\s*\)/g

export function assetPlugin(root: string, entries: Readonly<Record<string, string>>): Plugin {
  const copied = new Set<string>()
  return {
    name: 'assets',
    transform(code, id) {
      if (id.includes('node_modules') || !code.includes('import.meta.url')) return
      return code.replace(address, (_, relative: string) => {
        const file = path.relative(root, path.resolve(path.dirname(id), relative))
        const program = Object.entries(entries).find(([, entry]) => entry === file)?.[0]
        if (program !== undefined) return `new URL('./${program}.js', import.meta.url)`
        if (/^(test|scripts)\//.test(file))
          return `new URL('./only-in-the-source-tree/${file}', import.meta.url)`
        if (!existsSync(path.join(root, file)))
          throw new Error(`${path.relative(root, id)} reads ${file}, which does not exist`)
        copied.add(file)
        return `new URL('./assets/${file}', import.meta.url)`
      })
    },
    writeBundle({ dir }) {
      for (const file of copied) {
        const target = path.join(dir ?? '', 'assets', file)
        mkdirSync(path.dirname(target), { recursive: true })
        if (!file.endsWith('.ts')) {
          cpSync(path.join(root, file), target, { recursive: true })
          continue
        }
        const source = stripTypeScriptTypes(readFileSync(path.join(root, file), 'utf8'))
        writeFileSync(target, source)
        // A set takes in what is added to it on the way.
        for (const { specifier = '' } of importsOf(source))
          if (specifier.startsWith('./')) copied.add(path.join(path.dirname(file), specifier))
      }
    },
  }
}
