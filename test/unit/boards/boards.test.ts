/** What every board's data must be, whichever board it is; and each header drawn, to be read by a person. */
import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { boards } from '../../../boards/index.ts'
import type { Board, BoardBus, Header, HeaderPin } from '../../../hal/contract/board.ts'
import { headerTable } from '../../../runtime/cli/header-table.ts'

type GpioPin = Extract<HeaderPin, { kind: 'gpio' }>
const isGpio = (pin: HeaderPin): pin is GpioPin => pin.kind === 'gpio'
const gpioOf = ({ headers }: Board) => headers.flatMap(({ pins }) => pins.filter(isGpio))
const pinsOf = (header: Header, kind: HeaderPin['kind']) =>
  header.pins.filter((pin) => pin.kind === kind).map(({ pin }) => pin)
const duplicates = (values: readonly unknown[]) =>
  values.filter((value, index) => values.indexOf(value) !== index)

const described = boards.filter(({ headers }) => headers.length > 0)
const isReal = ({ id }: Board) => !/^(sim|generic)-/.test(id)

/** How a bus's function begins, as documentation writes it. */
const functionOf: Readonly<Record<BoardBus['kind'], RegExp>> = {
  i2c: /^I2C/,
  spi: /^SPI/,
  serial: /^UART/,
  'one-wire': /^1-Wire/,
  can: /^CAN/,
}

/** A tree of the kernel, by its file. */
const deviceTree = /^https:\/\/github\.com\/(torvalds|raspberrypi)\/linux\/blob\/\S+\/boot\/dts\/\S+\.dtsi?$/

/** Volts by pin, and the pins that are ground. */
interface Supply {
  readonly volts: Readonly<Record<number, number>>
  readonly ground: readonly number[]
}

/** The header of the Raspberry Pi, which the others copy. */
const fortyPins: Supply = {
  volts: { 1: 3.3, 2: 5, 4: 5, 17: 3.3 },
  ground: [6, 9, 14, 20, 25, 30, 34, 39],
}
/** By board, where the header has not 40 pins. */
const otherSupplies: Readonly<Record<string, Supply>> = {
  // Its 26 pins lie as the first 26 of those 40.
  'xunlong-orangepi-5': { volts: { 1: 3.3, 2: 5, 4: 5, 17: 3.3 }, ground: [6, 9, 14, 20, 25] },
  // As every mikroBUS socket: 3.3 V and GND end the left column, GND and 5 V begin the right one.
  'beagle-beagleplay': { volts: { 7: 3.3, 10: 5 }, ground: [8, 9] },
}

test('the boards that the project promises are listed', () => {
  const ids = boards.map(({ id }) => id)
  expect(ids).toEqual([
    'raspberrypi-5',
    'raspberrypi-cm5',
    'raspberrypi-4b',
    'raspberrypi-cm4',
    'raspberrypi-3b-plus',
    'raspberrypi-3b',
    'raspberrypi-zero-2w',
    'nvidia-jetson-agx-orin',
    'nvidia-jetson-orin-nx',
    'nvidia-jetson-orin-nano',
    'nvidia-jetson-xavier-nx',
    'nvidia-jetson-nano',
    'radxa-rock-5b',
    'xunlong-orangepi-5-plus',
    'xunlong-orangepi-5',
    'beagle-beagleplay',
    'generic-arm64',
    'generic-x64',
    'sim-raspberrypi-5',
  ])
})

test('[boards-1] each board has its own file, named as its id', async () => {
  const files = await readdir(new URL('../../../boards/', import.meta.url))
  const named = files.flatMap((file) => /^(.+)\.board\.ts$/.exec(file)?.[1] ?? [])
  expect(boards.map(({ id }) => id).sort()).toEqual(named.sort())
})

describe('a piece that boards of a family share', async () => {
  const folder = new URL('../../../boards/families/', import.meta.url)
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts'))

  test.each(files)(
    '[boards-families-1] %s says in its first lines where its facts come from',
    async (file) => {
      const [head = ''] = (await readFile(new URL(file, folder), 'utf8')).split('*/')
      expect(head).toMatch(/https:\/\/|linux\/|Sources?:/)
    },
  )

  test.each(files)(
    '[boards-families-2] %s imports types and other pieces, nothing that could open or read',
    async (file) => {
      const imports = (await readFile(new URL(file, folder), 'utf8')).matchAll(
        /^(import|export)[^;]*? from '(.+)'$/gm,
      )
      for (const [statement, , from] of imports)
        expect(from, statement).toMatch(statement.startsWith('import type') ? /^\.\.?\// : /^\.\/[\w-]+\.ts$/)
    },
  )
})

test('[boards-2] no compatible string is claimed by two boards, and a chip alone is no board', () => {
  const claimed = boards.flatMap(({ compatible }) => compatible)
  expect(duplicates(claimed)).toEqual([])
  for (const chip of ['brcm,bcm2712', 'brcm,bcm2837', 'nvidia,tegra234', 'rockchip,rk3588', 'ti,am625'])
    expect(claimed).not.toContain(chip)
})

test.each(boards.filter(isReal).map((board) => [board.id, board] as const))(
  '[boards-3] %s cites the device tree that its pins and buses were read from',
  (_id, board) => {
    expect(board.sources).toContainEqual(expect.stringMatching(deviceTree))
  },
)

describe.each(boards.map((board) => [board.id, board] as const))('%s', (_id, board) => {
  test('[boards-3] says where its facts come from, and its budgets fit a machine', () => {
    expect(board.sources.length).toBeGreaterThan(0)
    expect(board.memoryBudgetMb.runtime).toBeGreaterThanOrEqual(90)
    expect(board.memoryBudgetMb.engine).toBeGreaterThanOrEqual(board.memoryBudgetMb.runtime)
  })

  test('[boards-4] has the CPU among its accelerators, unless it is simulated', () => {
    const ids = board.accelerators.map(({ id }) => id)
    expect(duplicates(ids)).toEqual([])
    if (!board.id.startsWith('sim-')) expect(ids[0]).toBe('cpu')
    for (const { name, claim } of board.accelerators) expect(`${name}${claim}`).not.toMatch(/undefined|NaN/)
  })

  test('[boards-5] has limits that warn before they are critical', () => {
    for (const { warnC, criticalC } of board.thermal) expect(warnC).toBeLessThan(criticalC)
    expect(board.watchdogSMax ?? 1).toBeGreaterThan(0)
  })

  test('[boards-6] has ids of buses once each', () => {
    expect(duplicates(board.buses.map(({ id }) => id))).toEqual([])
    for (const { id, kind } of board.buses)
      expect(id).toMatch(
        {
          i2c: /^i2c-\d+$/,
          spi: /^spi-\d+\.\d$/,
          serial: /^uart-\d+$/,
          'one-wire': /^w1-\d+$/,
          can: /^can-\d+$/,
        }[kind],
      )
  })
})

describe.each(described.map((board) => [board.id, board] as const))('%s', (id, board) => {
  const gpio = gpioOf(board)

  test('[boards-7] draws each header as a table that fits 80 columns', async () => {
    const drawn = board.headers.flatMap((header) => [`${board.name}: ${header.name}`, ...headerTable(header)])
    for (const line of drawn) expect(line.length).toBeLessThanOrEqual(80)
    await expect(`${drawn.map((line) => line.trimEnd()).join('\n')}\n`).toMatchFileSnapshot(
      `headers/${id}.txt`,
    )
  })

  test('[boards-8] numbers the pins of each header from 1, without a gap', () => {
    for (const { pins } of board.headers)
      expect(pins.map(({ pin }) => pin)).toEqual(pins.map((_, index) => index + 1))
  })

  test('[boards-9] offers no line and no name twice', () => {
    expect(duplicates(gpio.map(({ chip, line }) => `${chip}/${line}`))).toEqual([])
    expect(
      duplicates(gpio.flatMap(({ chip, offset }) => (offset === undefined ? [] : [`${chip}#${offset}`]))),
    ).toEqual([])
    expect(duplicates(gpio.map(({ name }) => name))).toEqual([])
  })

  test('[boards-10] has every pin of a bus on the header, with the function', () => {
    for (const bus of board.buses)
      for (const number of bus.pins) {
        const pin = gpio.find(({ pin: candidate }) => candidate === number)
        // Pads that the GPIO driver has not are drawn as no GPIO; the bus is there all the same.
        if (pin === undefined) {
          expect(pinsOf(board.headers[0] as Header, 'unconnected')).toContain(number)
          continue
        }
        expect(pin.functions.some((name) => functionOf[bus.kind].test(name))).toBe(true)
      }
  })

  test('[boards-11] offers no reserved pin: to PWM never, to a bus only where it is reserved for that one', () => {
    const reserved = new Map(
      gpio.flatMap(({ pin, reserved: why }) => (why === undefined ? [] : [[pin, why]])),
    )
    for (const { pin } of board.pwm) {
      expect(gpio.map(({ pin: number }) => number)).toContain(pin)
      expect(reserved.has(pin)).toBe(false)
    }
    for (const bus of board.buses)
      for (const pin of bus.pins) if (reserved.has(pin)) expect(reserved.get(pin)).toBe(`always ${bus.id}`)
  })

  test('[boards-12] names controllers by address, and no PWM channel of a pin twice', () => {
    for (const { device } of board.pwm) expect(device).toMatch(/^[0-9a-f]+\.pwm$/)
    for (const { device } of board.buses)
      if (device !== undefined) expect(device).toMatch(/^[0-9a-f]+\.(i2c|spi|serial|mttcan)$/)
    expect(duplicates(board.pwm.map(({ pin }) => pin))).toEqual([])
  })
})

test.each(
  described.flatMap((board) => board.headers.map((header) => [board.id, header.name, header] as const)),
)(
  '[boards-13] %s has power and ground on its header %s where its standard has them, and nowhere else',
  (id, _name, header) => {
    const { volts, ground } = (header.pins.length === 40 ? fortyPins : otherSupplies[id]) as Supply
    const supplied = header.pins.flatMap((pin) => (pin.kind === 'power' ? [[pin.pin, pin.volts]] : []))
    expect(Object.fromEntries(supplied)).toEqual(volts)
    expect(pinsOf(header, 'ground')).toEqual(ground)
  },
)

test('the simulated Raspberry Pi 5 has the header of the real one', () => {
  const of = (id: string) => boards.find((board) => board.id === id)
  expect(of('sim-raspberrypi-5')?.headers).toEqual(of('raspberrypi-5')?.headers)
  expect(of('sim-raspberrypi-5')?.buses.map(({ id }) => id)).toEqual(
    of('raspberrypi-5')?.buses.map(({ id }) => id),
  )
})

test('lines that a Raspberry Pi is known by are where they have always been', () => {
  for (const board of boards.filter(({ id }) => id.includes('raspberrypi'))) {
    const at = (name: string) => gpioOf(board).find((pin) => pin.name === name)?.pin
    expect(['GPIO2', 'GPIO3', 'GPIO4', 'GPIO17', 'GPIO18', 'GPIO27', 'GPIO21'].map(at)).toEqual([
      3, 5, 7, 11, 12, 13, 40,
    ])
  }
})
