/** What a terminal is given. */
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { createTerminal } from '../../../runtime/cli/terminal.ts'

test('a line of JSON says what it says and holds nothing that a terminal takes for a command', () => {
  const stdout = new PassThrough()
  const terminal = createTerminal(true, { stdout, stderr: new PassThrough() } as never)
  // CSI and OSC as one character, a delete, a turned direction, a line separator, an invisible tag beyond U+FFFF.
  const name = 'Küche \u009b2J\u009d0;x\u009c\u0085\u007f \u001b[2J\u202etxt\u2028 \u{e0041} 🙂'
  terminal.out(JSON.stringify({ name }))
  const line = String(stdout.read())
  expect(JSON.parse(line)).toEqual({ name })
  expect(line.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
  expect(line).toContain('Küche')
  expect(line).toContain('\\u009b2J')
  expect(line).toContain('🙂')
})
