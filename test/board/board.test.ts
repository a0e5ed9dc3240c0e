/** The bundle on an emulated Raspberry Pi 3, seen from outside. */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fetchDownloads } from './downloads.ts'
import { Guest } from './guest.ts'
import { buildImage } from './image.ts'

const repository = join(import.meta.dirname, '..', '..')
const say = (line: string) => process.stderr.write(`${line}\n`)

let guest: Guest
const cleanups: (() => Promise<void> | void)[] = []

beforeAll(async () => {
  const downloads = fetchDownloads(say)
  say('building the bundle')
  execFileSync(process.execPath, [join(repository, 'scripts', 'build.ts')], { stdio: 'ignore' })
  const image = buildImage(downloads)
  cleanups.push(() => rmSync(image.folder, { recursive: true }))
  say('booting an emulated Raspberry Pi 3')
  guest = await Guest.boot(downloads, image)
  cleanups.push(() => guest[Symbol.asyncDispose]())
})

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

test('the guest says that it is a Raspberry Pi 3', async () => {
  expect(await guest.run("tr '\\0' '\\n' < /proc/device-tree/compatible")).toContain('raspberrypi,3-model-b')
  expect(await guest.run('node -p process.arch')).toBe('arm64')
})

test('a line that nobody holds is not driven', async () => {
  expect(await guest.gpio(17)).toEqual({ output: false, level: 0 })
})
