import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeDirectory, openStateDir } from '../../../runtime/base/state-dir.ts'

const dir = mkdtempSync(join(tmpdir(), 'ganglion-state-'))
afterAll(() => rmSync(dir, { recursive: true }))

describe('a directory for state', () => {
  it('is made with all above it, for its user only, and may be there already', () => {
    const deep = join(dir, 'a', 'b', 'c')
    makeDirectory(deep)
    makeDirectory(deep)
    for (const made of [join(dir, 'a'), deep]) expect(statSync(made).mode & 0o777).toBe(0o700)
  })

  it.runIf(existsSync('/proc/self'))(
    'that a file system refuses to make is an error, not an endless loop',
    () => {
      expect(() => makeDirectory('/proc/ganglion/state')).toThrow(/ENOENT/)
    },
  )

  it('below a file is a person’s mistake that names it', () => {
    writeFileSync(join(dir, 'file'), '')
    expect(() => openStateDir(join(dir, 'file', 'below'))).toThrow(/cannot write .*below.*--state-dir/)
  })
})
