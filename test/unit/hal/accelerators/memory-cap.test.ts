/** The cap on an adapter's memory, against made-up cgroup folders. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { capMemory } from '../../../../hal/accelerators/memory-cap.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hal-cap-'))
  await mkdir(join(folder, 'proc/self'), { recursive: true })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const roots = () => ({ proc: join(folder, 'proc'), sys: join(folder, 'sys'), dev: join(folder, 'dev') })
const group = (...path: string[]) => join(folder, 'sys/fs/cgroup', ...path)

/** `offered`: controllers that a group gives to those within it; absent: that cannot be written. */
async function cgroups(own: string, groups: Readonly<Record<string, string>>): Promise<void> {
  await writeFile(join(folder, 'proc/self/cgroup'), `1:name=systemd:/old\n0::${own}\n`)
  await mkdir(group(), { recursive: true })
  await writeFile(group('cgroup.controllers'), 'cpu memory pids\n')
  for (const [path, offered] of Object.entries(groups)) {
    await mkdir(group(path), { recursive: true })
    await writeFile(group(path, 'cgroup.subtree_control'), offered)
  }
}

const text = (...path: string[]) => readFile(group(...path), 'utf8')

test('the process is in a group of its own, with the cap and without survivors of a breach', async () => {
  await cgroups('/ganglion.service', { 'ganglion.service': 'memory pids\n' })
  const { cap } = await capMemory(roots(), 'npu', 4711, 256)
  expect(cap).toEqual({ mb: 256 })
  const own = 'ganglion.service/ganglion-npu-4711'
  expect(await text(own, 'memory.max')).toBe('268435456')
  expect(await text(own, 'memory.oom.group')).toBe('1')
  expect(await text(own, 'cgroup.procs')).toBe('4711')
})

test('a group that cannot hold groups leaves the one beside it', async () => {
  await cgroups('/ganglion.service/runtime', { 'ganglion.service': 'memory\n' })
  await mkdir(group('ganglion.service/runtime'))
  const { cap } = await capMemory(roots(), 'npu', 1, 1)
  expect(cap).toEqual({ mb: 1 })
  expect(await text('ganglion.service/ganglion-npu-1', 'memory.max')).toBe('1048576')
})

test('where no group may be made the reason says what to do', async () => {
  await cgroups('/user.slice/session', {})
  const { cap } = await capMemory(roots(), 'npu', 1, 1)
  expect(cap).toEqual({
    whyNot: 'no cgroup may be made here (ENOENT, ENOENT): run the service with Delegate=yes',
  })
})

test('a system without cgroup v2, or without its memory controller, says so', async () => {
  const whyNot = 'this system has no cgroup v2 with the memory controller'
  expect((await capMemory(roots(), 'npu', 1, 1)).cap).toEqual({ whyNot })
  await cgroups('/x', { x: 'memory' })
  await writeFile(group('cgroup.controllers'), 'cpu pids\n')
  expect((await capMemory(roots(), 'npu', 1, 1)).cap).toEqual({ whyNot })
})
