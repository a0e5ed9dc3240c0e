/** What a module imports is found with its line, whatever else is written around it. */
import { describe, expect, test } from 'vitest'
import { importsOf } from '../../../../runtime/agent/bundle/imports.ts'

const found = (source: string) => importsOf(source).map(({ specifier, line }) => `${specifier}:${line}`)

describe('imports', () => {
  test('of every kind are found, with the line of each', () => {
    expect(
      found(`import a from './a.ts'
import { b, c as d } from "./b.ts"
import * as e from './e.ts'
import
  './f.ts'
export * from './g.ts'
export * as h from './h.ts'
export { i, j as from } from './i.ts'
import k, { l } from './k.ts'
const m = await import('./m.ts')
import from from './n.ts'
import { from } from './o.ts'`),
    ).toEqual([
      ...['./a.ts:1', './b.ts:2', './e.ts:3', './f.ts:5', './g.ts:6', './h.ts:7', './i.ts:8', './k.ts:9'],
      ...['./m.ts:10', './n.ts:11', './o.ts:12'],
    ])
  })

  test('in comments, texts, templates and regular expressions are none', () => {
    expect(
      found(`// import './a'
/* import './b'
import './c' */
const text = "import './d'" + 'import "./e"'
const template = \`import './f' \${\`export * from './g' \${ {a: '}'}.a }\`} import './h'\`
const pattern = /import '.\\/[/'"]i'/.test("x") ? 4 / 2 / 1 : a[0] / b(1) / 2
object.import('./j'); object?.import('./k'); import.meta
const { from } = object, label = { import: './l' }
import './last.ts'`),
    ).toEqual(['./last.ts:9'])
  })

  test('whose name is known only when it runs are told apart', () => {
    expect(importsOf(`await import(name)\nawait import(\`./\${name}\`)`)).toEqual([
      { specifier: undefined, line: 1 },
      { specifier: undefined, line: 2 },
    ])
  })

  test('are read from any text without an error', () => {
    for (const text of [
      '`${',
      '"',
      "'\\",
      '/',
      '/[',
      '/*',
      'import',
      'import {',
      'export * from',
      '}',
      '\\',
      '\u{1f600}',
    ])
      expect(() => importsOf(text)).not.toThrow()
  })

  test('with escapes in their names are read as the engine reads them', () => {
    expect(found(String.raw`import '\x2e/\u0061\u{62}.ts'`)).toEqual(['./ab.ts:1'])
  })
})
