/** What a container leaves of the machine: control groups as files in a made-up root. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { machineLimits } from '../../../../runtime/inference/supervisor/machine-limits.ts'

const roots: string[] = []
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

function rootWith(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'limits-'))
  roots.push(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

test('the smallest limit on the way to the root counts', async () => {
  const root = rootWith({
    'proc/self/cgroup': '0::/app.slice/ganglion.service\n',
    'sys/fs/cgroup/app.slice/cpu.max': '150000 100000\n',
    'sys/fs/cgroup/app.slice/ganglion.service/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/app.slice/ganglion.service/memory.max': '268435456\n',
    'sys/fs/cgroup/app.slice/memory.max': 'max\n',
  })
  expect(await machineLimits(root)).toMatchObject({
    cores: availableParallelism(),
    quotaCores: 1.5,
    memoryMb: 268,
  })
})

test('a container that sees its own group as the root is limited by that', async () => {
  const root = rootWith({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' })
  expect((await machineLimits(root)).quotaCores).toBe(0.5)
})

test.each([
  ['no control groups', {}],
  ['version 1', { 'proc/self/cgroup': '4:memory:/x\n' }],
  ['nonsense', { 'proc/self/cgroup': '0::/../..\n', 'sys/fs/cgroup/cpu.max': 'much\n' }],
])('%s: the machine itself is the limit', async (_name, files) => {
  const limits = await machineLimits(rootWith(files))
  expect(limits.quotaCores).toBeUndefined()
  expect(limits.memoryMb).toBeGreaterThan(100)
})
