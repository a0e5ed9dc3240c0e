import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { history } from '../../../runtime/cli/commands/history.ts'
import type { Context } from '../../../runtime/cli/context.ts'
import { deviceStateDir } from '../../../runtime/cli/device-dir.ts'
import { HistoryFile, historyPath } from '../../../runtime/perception/feeling/history-file.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'history-'))
/** Where `up` has its device. */
const deviceDir = join(stateDir, 'device')
afterAll(() => rmSync(stateDir, { recursive: true }))

async function run(id?: string): Promise<string[]> {
  const lines: string[] = []
  const terminal = { json: false, out: (line: string) => lines.push(line) }
  const context = { terminal, stateDir, hubDir: stateDir, signal: new AbortController().signal }
  await history(id, {}, context as unknown as Context)
  return lines
}

test('histories are listed, one is printed as CSV, and an unknown one is named with those there are', async () => {
  expect(await run()).toEqual([`no history is kept in ${deviceDir}`])
  const shape = { channels: ['sensor.a'], everyMs: 1000, rowsMax: 9 }
  {
    await using file = await HistoryFile.open(historyPath(deviceDir, 'pump'), shape)
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

test('a device’s state is where its configuration says, where up has it, or in the directory of a device by itself', () => {
  const hubDir = mkdtempSync(join(stateDir, 'hub-'))
  const started = (dir: string, at: number) => {
    mkdirSync(join(dir, 'outbox'), { recursive: true })
    utimesSync(join(dir, 'outbox'), at, at)
  }
  const config = join(hubDir, 'ganglion.yaml')
  writeFileSync(config, `device: { stateDir: ${join(hubDir, 'configured')} }`)
  const unnamed = { stateDir: undefined, hubDir }
  expect(deviceStateDir(config, unnamed)).toBe(join(hubDir, 'configured'))
  expect(deviceStateDir(undefined, unnamed)).toBe(join(hubDir, 'device'))
  started(hubDir, 1000)
  expect(deviceStateDir(undefined, unnamed)).toBe(hubDir)
  started(join(hubDir, 'device'), 2000)
  expect(deviceStateDir(config, { stateDir: hubDir, hubDir })).toBe(join(hubDir, 'device'))
  started(hubDir, 3000)
  expect(deviceStateDir(undefined, unnamed)).toBe(hubDir)
})
