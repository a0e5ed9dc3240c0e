/** Which board this machine is. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { boards } from '../../../boards/index.ts'
import type { Board } from '../../../hal/contract/board.ts'
import { createHal } from '../../../hal/index.ts'
import { detectBoard } from '../../../hal/linux/board-detect.ts'
import { testHost } from './host.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hal-detect-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function detect(arch: string, among: readonly Board[] = boards) {
  return detectBoard(
    among,
    { proc: join(folder, 'proc'), sys: join(folder, 'sys'), dev: join(folder, 'dev') },
    arch,
  )
}

async function deviceTree(compatible: string): Promise<void> {
  await mkdir(join(folder, 'proc/device-tree'), { recursive: true })
  await writeFile(join(folder, 'proc/device-tree/compatible'), compatible)
}

async function dmi(vendor: string, product: string): Promise<void> {
  await mkdir(join(folder, 'sys/class/dmi/id'), { recursive: true })
  await writeFile(join(folder, 'sys/class/dmi/id/sys_vendor'), `${vendor}\n`)
  await writeFile(join(folder, 'sys/class/dmi/id/product_name'), `${product}\n`)
}

describe('a board is recognised', () => {
  test.each([
    ['raspberrypi,5-model-b\0brcm,bcm2712\0', 'raspberrypi-5'],
    ['raspberrypi,4-model-b\0brcm,bcm2711\0', 'raspberrypi-4b'],
    ['raspberrypi,3-model-b\0brcm,bcm2837\0', 'raspberrypi-3b'],
    ['nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0', 'nvidia-jetson-orin-nano'],
    ['radxa,rock-5b\0rockchip,rk3588\0', 'radxa-rock-5b'],
  ])('[boards-2] [hal-linux-2] by its device tree %j', async (compatible, id) => {
    await deviceTree(compatible)
    const { board, recognisedBy } = await detect('arm64')
    expect(board.id).toBe(id)
    expect(recognisedBy).toBe(`device tree compatible "${compatible.split('\0')[0]}"`)
  })

  test('by its architecture when its device tree or DMI is not listed, and says what it saw', async () => {
    await deviceTree('acme,board\0acme,chip\0')
    expect(await detect('arm64')).toMatchObject({
      board: { id: 'generic-arm64' },
      recognisedBy: 'architecture arm64 (acme,board is not listed)',
    })
    await deviceTree('raspberrypi,400\0brcm,bcm2711\0')
    expect((await detect('arm64')).board.id).toBe('generic-arm64')
    await rm(join(folder, 'proc'), { recursive: true })
    await dmi('Acme', 'Box 1')
    expect(await detect('x64')).toMatchObject({
      board: { id: 'generic-x64' },
      recognisedBy: 'architecture x64 (Acme:Box 1 is not listed)',
    })
  })

  test('[boards-2] by DMI when a board lists it', async () => {
    await dmi('Acme', 'Box 1')
    const [first] = boards
    if (!first) throw new Error('no boards')
    const box: Board = { ...first, id: 'acme-box', compatible: ['dmi:Acme:Box 1'] }
    expect(await detect('x64', [box, ...boards])).toMatchObject({
      board: { id: 'acme-box' },
      recognisedBy: 'DMI "Acme:Box 1"',
    })
  })

  test('by its architecture alone on a bare machine', async () => {
    expect(await detect('x64')).toMatchObject({
      board: { id: 'generic-x64' },
      recognisedBy: 'architecture x64',
    })
  })

  test('never as the simulated one', async () => {
    await deviceTree('sim-raspberrypi-5\0')
    expect((await detect('arm64')).board.id).toBe('generic-arm64')
  })
})

test('a machine that no board fits is unsupported', async () => {
  await expect(detect('mips')).rejects.toMatchObject({
    code: 'unsupported',
    message: /no board for mips machines/,
  })
})

test('opening without a home opens the recognised board, with nothing simulated', async () => {
  const { host } = testHost()
  await using board = await createHal(boards).openBoard(
    { hostSensors: false },
    host,
    new AbortController().signal,
  )
  expect(board.simulated).toBe(false)
  expect(board.sim).toBeUndefined()
  expect(board.components).toEqual([])
  expect(board.recognisedBy.length).toBeGreaterThan(0)
})

test('a home cannot be opened where no simulated board is listed', async () => {
  const { host } = testHost()
  const home = { name: 'home.yaml', yaml: 'areas: []' }
  await expect(
    createHal([]).openBoard({ home, hostSensors: false }, host, new AbortController().signal),
  ).rejects.toMatchObject({ code: 'not-present' })
})
