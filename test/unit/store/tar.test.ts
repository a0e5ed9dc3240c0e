import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StoreError } from '../../../runtime/inference/store/store-error.ts'
import { readTar } from '../../../runtime/inference/store/tar.ts'
import { sampleBytes, tar } from './fixtures.ts'

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function contents(archive: Uint8Array, chunkSize = 1000): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for await (const entry of readTar(inChunks(archive, chunkSize))) {
    const parts: Uint8Array[] = []
    for await (const part of entry.body) parts.push(part)
    files[entry.path] = Buffer.concat(parts).toString('hex')
  }
  return files
}

describe('readTar', () => {
  test('gives every file whole, however the archive is cut into chunks', async () => {
    const size = fc.integer({ min: 0, max: 3000 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(size, { maxLength: 5 }),
        fc.integer({ min: 1, max: 2000 }),
        async (sizes, chunk) => {
          const files = sizes.map((bytes, at) => ({ path: `p/${at}`, content: sampleBytes(bytes, `${at}`) }))
          const expected = Object.fromEntries(files.map((file) => [file.path, file.content.toString('hex')]))
          expect(await contents(tar(files), chunk)).toEqual(expected)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('skips folders and links, and content that nobody reads', async () => {
    const archive = tar([
      { path: 'p/', content: Buffer.alloc(0), type: '5' },
      { path: 'p/link', content: Buffer.alloc(0), type: '2' },
      { path: 'p/a', content: sampleBytes(700) },
      { path: 'p/b', content: sampleBytes(3) },
    ])
    const paths: string[] = []
    for await (const entry of readTar(inChunks(archive, 64))) paths.push(entry.path)
    expect(paths).toEqual(['p/a', 'p/b'])
  })

  test('lets go of the archive when its reader leaves early', async () => {
    let open = true
    const archive = async function* () {
      try {
        yield* inChunks(tar([{ path: 'p/a', content: sampleBytes(3000) }]), 512)
      } finally {
        open = false
      }
    }
    for await (const entry of readTar(archive())) {
      expect(entry.path).toBe('p/a')
      break
    }
    expect(open).toBe(false)
  })

  test('takes the long name of a pax header', async () => {
    const path = `p/${'long/'.repeat(40)}name`
    const record = ` path=${path}\n`
    const length = record.length + 3
    const archive = tar([
      { path: 'PaxHeader', content: Buffer.from(`${length}${record}`), type: 'x' },
      { path: 'p/short', content: Buffer.from('hi') },
    ])
    expect(Object.keys(await contents(archive))).toEqual([path])
  })

  test('refuses paths that climb out, absolute ones, and backslashes [store-7]', async () => {
    for (const path of ['../x', 'p/../../x', '/etc/x', 'p\\..\\x', 'p//x']) {
      const archive = tar([{ path, content: Buffer.from('x') }])
      await expect(contents(archive)).rejects.toThrow(/unsafe path/)
    }
  })

  test('throws StoreError malformed for anything damaged, and nothing else', async () => {
    const archive = tar([{ path: 'p/a', content: sampleBytes(600) }])
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 511 }),
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 0, max: archive.length }),
        async (at, change, length) => {
          const damaged = Buffer.from(archive.subarray(0, length))
          if (at < damaged.length) damaged[at] = (damaged[at] ?? 0) ^ change
          try {
            await contents(damaged)
          } catch (error) {
            expect(error).toBeInstanceOf(StoreError)
            expect(error).toMatchObject({ code: 'malformed' })
          }
        },
      ),
    )
    await expect(contents(archive.subarray(0, 700))).rejects.toThrow(/ends too early/)
  })
})
