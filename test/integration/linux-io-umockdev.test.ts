/**
 * A Raspberry Pi 5 and a Jetson Orin Nano as umockdev's testbeds: the real /dev, /sys and /proc of the process are
 * theirs, so roots are the system's own. The ioctls of GPIO and I2C, which umockdev has none for, are answered by our
 * preloaded library.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { FakeMachine } from '../fixtures/fake-machine.ts'
import { compileHardware, hasGcc } from '../fixtures/native-library.ts'
import type { OnMachine } from '../fixtures/on-machine.ts'

const hasUmockdev = spawnSync('umockdev-run', ['--version']).status === 0

let folder: string
let library: string
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'ganglion-umockdev-'))
  if (hasGcc) library = compileHardware(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeEach((ctx) => {
  ctx.skip(!hasUmockdev, 'umockdev is not installed')
  ctx.skip(!hasGcc, 'gcc is not installed')
})

async function on<Result>(board: string, hardware: string[], body: (on: OnMachine) => Promise<Result>) {
  using machine = new FakeMachine({ board, hardware })
  const umockdev = path.join(import.meta.dirname, `../fixtures/umockdev/${board}.umockdev`)
  return await machine.run(body, { preload: [library], umockdev })
}

const onPi = <Result>(body: (on: OnMachine) => Promise<Result>) =>
  on(
    'raspberrypi-5',
    ['chip gpiochip0 pinctrl-rp1 54', 'line gpiochip0 17 GPIO17', 'target i2c-6 0x48'],
    body,
  )

test('a Raspberry Pi 5 is recognised by its device tree, and a line of its header moves', async () => {
  const seen = await onPi(async ({ io, fake, detect }) => {
    const { mkdirSync, writeFileSync } = process.getBuiltinModule('node:fs')
    const tree = `${process.env['UMOCKDEV_DIR']}/proc/device-tree`
    mkdirSync(tree, { recursive: true })
    writeFileSync(`${tree}/compatible`, 'raspberrypi,5-model-b\0brcm,bcm2712\0')
    const line = io.digital({ pin: 11, mode: 'output', initial: 1 })
    return { board: await detect(), level: fake.level('gpiochip0', 17), read: line.read() }
  })
  expect(seen).toEqual({ board: 'raspberrypi-5', level: 1, read: 1 })
})

test('the header bus of a Raspberry Pi 5 is found behind its controller, and its part answers', async () => {
  const seen = await onPi(async ({ io, board, roots, probeI2c, fake }) => {
    fake.register('i2c-6', 0x48, 0, 0x19)
    const part = io.smbus({ bus: 'i2c-1', address: 0x48 })
    return { temperature: part.readUint8(0), answers: probeI2c(board, roots, 'i2c-1') }
  })
  expect(seen).toEqual({ temperature: 0x19, answers: [{ address: 0x48 }] })
})

test('PWM is set up in the order that the kernel takes, found by its controller', async () => {
  const seen = await onPi(async ({ io }) => {
    const { readFileSync } = process.getBuiltinModule('node:fs')
    const channel = '/sys/class/pwm/pwmchip0/pwm2'
    const read = (name: string) => readFileSync(`${channel}/${name}`, 'utf8').trim()
    const state = () => ['period', 'duty_cycle', 'enable', 'polarity'].map(read)
    const pwm = io.pwm({ pin: 12, hz: 50 })
    const opened = state()
    pwm.write(2 ** pwm.resolution - 1)
    const full = [state(), pwm.read?.()]
    pwm.close()
    return { resolution: pwm.resolution, hz: pwm.hz, opened, full, closed: state() }
  })
  expect(seen).toEqual({
    resolution: 16,
    hz: 50,
    opened: ['20000000', '0', '1', 'normal'],
    full: [['20000000', '20000000', '1', 'normal'], 65535],
    closed: ['20000000', '0', '0', 'normal'],
  })
})

test('the LED of the board is an output without wiring, and gets its trigger back', async () => {
  const seen = await onPi(async ({ io }) => {
    const { readFileSync } = process.getBuiltinModule('node:fs')
    const read = (name: string) => readFileSync(`/sys/class/leds/ACT/${name}`, 'utf8').trim()
    const led = io.digital({ pin: 'led:ACT', mode: 'output', initial: 1 })
    const on = [read('brightness'), read('trigger'), led.read()]
    led.close()
    return [...on, read('brightness'), read('trigger')]
  })
  expect(seen).toEqual(['255', 'none', 1, '0', 'mmc0'])
})

test('a Jetson Orin Nano is recognised, and takes the header lines from the chip that has them', async () => {
  const hardware = [
    'chip gpiochip0 tegra234-gpio-aon 32',
    'chip gpiochip1 tegra234-gpio 64',
    'line gpiochip1 23 PR.04',
    'target i2c-7 0x40',
  ]
  const seen = await on(
    'nvidia-jetson-orin-nano',
    hardware,
    async ({ io, fake, failure, detect, board, roots, probeI2c }) => {
      const { mkdirSync, writeFileSync } = process.getBuiltinModule('node:fs')
      const tree = `${process.env['UMOCKDEV_DIR']}/proc/device-tree`
      mkdirSync(tree, { recursive: true })
      writeFileSync(
        `${tree}/compatible`,
        'nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0',
      )
      io.digital({ pin: 11, mode: 'output', initial: 1 })
      return {
        board: await detect(),
        level: fake.level('gpiochip1', 23),
        reserved: failure(() => io.digital({ pin: 3, mode: 'output' })),
        answers: probeI2c(board, roots, 'i2c-7'),
      }
    },
  )
  expect(seen).toEqual({
    board: 'nvidia-jetson-orin-nano',
    level: 1,
    reserved: expect.stringMatching(/^out-of-range: pin 3 \(I2C1_SDA\) of .* is reserved: always i2c-7$/),
    answers: [{ address: 0x40 }],
  })
})
