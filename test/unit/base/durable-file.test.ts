import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { writeDurably, writeDurablySync } from '../../../runtime/base/durable-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'ganglion-durable-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const ways = [
  { name: 'beside the loop', write: writeDurably },
  { name: 'at once', write: async (path: string, text: string) => writeDurablySync(path, text) },
]

describe.each(ways)('a file replaced whole, $name', ({ name, write }) => {
  const path = join(dir, name)

  test('holds what was written last, for its user only, and leaves nothing beside it [base-7]', async () => {
    await write(path, 'the first')
    await write(path, `the second ${'ä'.repeat(200_000)}`)
    expect(readFileSync(path, 'utf8')).toBe(`the second ${'ä'.repeat(200_000)}`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(dir).filter((file) => file.startsWith(name))).toEqual([name])
  })

  test('is as it was where the new one cannot be put in its place [base-7]', async () => {
    const folder = join(dir, `${name}, a folder`)
    mkdirSync(folder)
    writeFileSync(join(folder, 'kept'), 'kept')
    await expect(write(folder, 'text')).rejects.toMatchObject({ code: 'EISDIR' })
    expect(readFileSync(join(folder, 'kept'), 'utf8')).toBe('kept')
  })

  test('takes over the part that a power cut left [base-7]', async () => {
    writeFileSync(`${path}.part`, 'half of something much longer than what comes now')
    await write(path, 'whole')
    expect(readFileSync(path, 'utf8')).toBe('whole')
  })
})
