import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { history } from '../../../runtime/cli/commands/history.ts'
import type { Context } from '../../../runtime/cli/context.ts'
import { HistoryFile, historyPath } from '../../../runtime/perception/feeling/history-file.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'history-'))
afterAll(() => rmSync(stateDir, { recursive: true }))

async function run(id?: string): Promise<string[]> {
  const lines: string[] = []
  const terminal = { json: false, out: (line: string) => lines.push(line) }
  const context = { terminal, stateDir, hubDir: stateDir, signal: new AbortController().signal }
  await history(id, {}, context as unknown as Context)
  return lines
}

test('histories are listed, one is printed as CSV, and an unknown one is named with those there are', async () => {
  expect(await run()).toEqual([`no history is kept in ${stateDir}`])
  const shape = { channels: ['sensor.a'], everyMs: 1000, rowsMax: 9 }
  {
    await using file = await HistoryFile.open(historyPath(stateDir, 'pump'), shape)
    file.append({ tsMs: 0, values: Float32Array.of(1.5) })
    file.append({ tsMs: 1000, values: Float32Array.of(Number.NaN) })
  }
  expect(await run()).toEqual(['pump'])
  expect(await run('pump')).toEqual([
    'time,sensor.a',
    '1970-01-01T00:00:00.000Z,1.5',
    '1970-01-01T00:00:01.000Z,',
  ])
  await expect(run('fan')).rejects.toThrow(/no history fan in .*; there are: pump/)
})
