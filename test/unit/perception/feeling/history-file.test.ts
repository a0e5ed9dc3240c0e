import { mkdtempSync, rmSync } from 'node:fs'
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { csvHeader, csvLine } from '../../../../runtime/perception/feeling/history-csv.ts'
import {
  HistoryFile,
  type HistoryRow,
  readHistory,
} from '../../../../runtime/perception/feeling/history-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'history-'))
afterAll(() => rmSync(folder, { recursive: true }))
let count = 0
const fresh = () => join(folder, `${++count}.history`)
const shape = (rowsMax: number, channels = ['sensor.a', 'sensor.b']) => ({ channels, everyMs: 1000, rowsMax })

async function write(path: string, rows: readonly HistoryRow[], rowsMax: number): Promise<void> {
  await using file = await HistoryFile.open(path, shape(rowsMax))
  for (const row of rows) {
    file.append(row)
    // Sixteen may wait; a device adds one a second at most.
    await new Promise((resolve) => setImmediate(resolve))
  }
}
async function read(path: string): Promise<HistoryRow[]> {
  const rows: HistoryRow[] = []
  for await (const row of (await readHistory(path)).rows) rows.push(row)
  return rows
}
const row = (tsMs: number, ...values: number[]): HistoryRow => ({ tsMs, values: Float32Array.from(values) })

test('the last rows are read in order, whatever was written in how many openings, and no more are kept [feeling-1]', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 7 }),
      fc.array(fc.nat(9), { maxLength: 4 }),
      async (max, openings) => {
        const path = fresh()
        let ts = 0
        const all: HistoryRow[] = []
        for (const rows of openings) {
          const some = Array.from({ length: rows }, (_, at) => row(ts + at, ts / 10, at))
          ts += rows
          await write(path, some, max)
          all.push(...some)
        }
        if (openings.length === 0) await write(path, [], max)
        expect(await read(path)).toEqual(all.slice(-max))
        expect((await stat(path)).size).toBeLessThanOrEqual(4096 + max * 20)
      },
    ),
    { numRuns: 30 },
  )
})

test('a row that was half written is left out, and the rest goes on [feeling-1]', async () => {
  const path = fresh()
  await write(path, [row(1, 1, 1), row(2, 2, 2), row(3, 3, 3)], 10)
  await truncate(path, 4096 + 2 * 20 + 9)
  expect((await read(path)).map(({ tsMs }) => tsMs)).toEqual([1, 2])
  const file = await open(path, 'r+')
  await file.write(Buffer.from('torn'), 0, 4, 4096 + 8)
  await file.close()
  await write(path, [row(4, 4, 4)], 10)
  expect((await read(path)).map(({ tsMs }) => tsMs)).toEqual([2, 4])
})

test('missing numbers stay missing', async () => {
  const path = fresh()
  await write(path, [row(1, Number.NaN, 5)], 4)
  expect((await read(path))[0]?.values).toEqual(Float32Array.of(Number.NaN, 5))
})

test('a clock that was set back adds nothing until it has caught up, and the problem says until when', async () => {
  const path = fresh()
  await write(path, [row(5, 1, 1)], 4)
  const file = await HistoryFile.open(path, shape(4))
  file.append(row(3, 2, 2))
  expect(file.problem).toBe('the clock was set back: history is kept again from 1970-01-01T00:00:00.005Z on')
  file.append(row(6, 3, 3))
  await file[Symbol.asyncDispose]()
  expect(file.problem).toBeUndefined()
  expect((await read(path)).map(({ tsMs }) => tsMs)).toEqual([5, 6])
})

test.each([
  [2, [4, 5]],
  [4, [2, 3, 4, 5]],
  [9, [2, 3, 4, 5]],
])('a history that may hold %i rows from now on goes on with its newest', async (rowsMax, kept) => {
  const path = fresh()
  const all = [1, 2, 3, 4, 5].map((at) => row(at, at, -at))
  await write(path, all, 4)
  await write(path, [], rowsMax)
  expect(await read(path)).toEqual(all.filter(({ tsMs }) => kept.includes(tsMs)))
  await write(path, [row(6, 6, -6)], rowsMax)
  expect((await read(path)).map(({ tsMs }) => tsMs)).toEqual([...kept, 6].slice(-rowsMax))
  expect((await stat(path)).size).toBeLessThanOrEqual(4096 + rowsMax * 20)
})

test('a history of other channels is kept aside, not mixed in', async () => {
  const path = fresh()
  await write(path, [row(1, 1, 1)], 4)
  await using file = await HistoryFile.open(path, shape(4, ['sensor.c']))
  file.append(row(2, 7))
  expect((await readHistory(`${path}.before`)).shape.channels).toEqual(['sensor.a', 'sensor.b'])
})

test.each([
  ['is not there', async () => {}],
  ['is empty', (path: string) => writeFile(path, '')],
  ['is garbage', (path: string) => writeFile(path, Buffer.alloc(9000, 0xff))],
  [
    'says impossible things',
    (path: string) => writeFile(path, '{"v":1,"channels":[],"everyMs":0,"rowsMax":1e99}'),
  ],
])(
  'a file that %s is one line of error when it is read, and is begun anew when it is written',
  async (_, make) => {
    const path = fresh()
    await make(path)
    await expect(readHistory(path)).rejects.toMatchObject({ code: expect.stringMatching(/disk|not-history/) })
    await write(path, [row(1, 1, 2)], 3)
    expect(await read(path)).toHaveLength(1)
  },
)

test('a folder that cannot be written is one line that names it', async () => {
  await writeFile(join(folder, 'file'), '')
  await expect(HistoryFile.open(join(folder, 'file', 'x.history'), shape(3))).rejects.toMatchObject({
    code: 'disk',
    message: expect.stringContaining('cannot keep history in'),
  })
})

test('a disk that does not follow loses rows and says so; memory stays bounded [feeling-1]', async () => {
  await using file = await HistoryFile.open(fresh(), shape(1000))
  for (let at = 1; at <= 100; at += 1) file.append(row(at, 1, 1))
  expect(file.lost).toBe(84)
  expect(file.problem).toContain('84 rows of history were lost')
})

test('rows become comma-separated values: ISO time, empty where there was none', async () => {
  const path = fresh()
  await write(path, [row(Date.UTC(2026, 0, 1), 21.5, Number.NaN)], 3)
  const lines = [csvHeader(['sensor.a', 'odd, "name"']), ...(await read(path)).map(csvLine)]
  expect(lines).toEqual(['time,sensor.a,"odd, ""name"""', '2026-01-01T00:00:00.000Z,21.5,'])
  expect(await readFile(path)).toBeTruthy()
})
