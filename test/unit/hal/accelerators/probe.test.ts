/** Which accelerators are there, against made-up /dev, /sys and /proc. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Board, BoardAccelerator } from '../../../../hal/contract/board.ts'
import { probeAccelerators } from '../../../../hal/index.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hal-probe-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const roots = () => ({ proc: join(folder, 'proc'), sys: join(folder, 'sys'), dev: join(folder, 'dev') })

async function file(path: string, text = ''): Promise<string> {
  const full = join(folder, path)
  await mkdir(dirname(full), { recursive: true })
  await writeFile(full, text)
  return full
}

function boardWith(...accelerators: BoardAccelerator[]): Board {
  return {
    id: 'maker-board',
    name: 'Board',
    arch: 'any',
    compatible: [],
    memoryBudgetMb: { runtime: 1, engine: 1 },
    headers: [],
    buses: [],
    pwm: [],
    thermal: [],
    power: [],
    accelerators,
    sources: [],
  }
}

const npu = (
  shownBy: readonly string[],
  reachedBy: BoardAccelerator['reachedBy'] = { adapter: 'npu' },
): BoardAccelerator => ({ id: 'npu', name: 'NPU', claim: '6 TOPS, INT8', shownBy, reachedBy })

async function probe(accelerator: BoardAccelerator, adapters: readonly string[] = ['npu']) {
  const [found] = await probeAccelerators(boardWith(accelerator), { roots: roots(), adapters })
  return found
}

test('[accelerators-1] an accelerator whose signs are absent says which were looked for', async () => {
  expect(await probe(npu(['/dev/npu0', 'pci:1e60:2864']))).toEqual({
    id: 'npu',
    name: 'NPU',
    claim: '6 TOPS, INT8',
    usable: false,
    whyNot: 'not found: there is no /dev/npu0 or pci:1e60:2864; is it fitted, and its kernel driver loaded?',
  })
})

test('[accelerators-1] one that is there and reached by a configured adapter is usable, without it not', async () => {
  await file('dev/npu0')
  expect(await probe(npu(['/dev/npu0']))).toMatchObject({ usable: true })
  const without = await probe(npu(['/dev/npu0']), [])
  expect(without).toMatchObject({ usable: false })
  expect(without?.whyNot).toMatch(/an adapter named npu, which is not configured and not shipped/)
})

test('[accelerators-1] one that nothing reaches yet says so', async () => {
  await file('dev/npu0')
  const found = await probe(npu(['/dev/npu0'], 'not-yet'))
  expect(found).toMatchObject({ usable: false, whyNot: 'there, but Ganglion cannot reach it yet' })
})

test('the CPU needs no sign', async () => {
  expect(await probe(npu([], 'cpu'), [])).toMatchObject({ usable: true })
})

test.each([
  ['a PCI device', 'pci:1e60:2864'],
  ['a node of the device tree', 'soc/npu@fdab0000'],
  ['a compatible string', 'rockchip,rk3588-rknpu'],
  ['a platform device', 'fdab0000.npu'],
  ['a path below /sys', '/sys/class/misc/npu'],
])('%s shows an accelerator', async (_, sign) => {
  expect(await probe(npu([sign]))).toMatchObject({ usable: false })
  await file('sys/bus/pci/devices/0000:01:00.0/vendor', '0x1e60\n')
  await file('sys/bus/pci/devices/0000:01:00.0/device', '0x2864\n')
  await file('proc/device-tree/soc/npu@fdab0000/name')
  await file('sys/bus/platform/devices/fdab0000.npu/of_node/compatible', 'x,y\0rockchip,rk3588-rknpu\0')
  await file('sys/class/misc/npu/uevent')
  expect(await probe(npu([sign]))).toMatchObject({ usable: true })
})

test('a node that may not be opened names the group to join', async ({ skip }) => {
  skip(process.getuid?.() === 0, 'root may open every node')
  await chmod(await file('dev/npu0'), 0)
  const found = await probe(npu(['/dev/npu0']))
  expect(found?.whyNot).toMatch(/^\/dev\/npu0: no permission/)
})
