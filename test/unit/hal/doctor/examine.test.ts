/** One look at a machine: what is there, what is wrong, what to do. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { HalError } from '../../../../hal/contract/errors.ts'
import type { Examination } from '../../../../hal/contract/examination.ts'
import type { HardwareConfig } from '../../../../hal/contract/hardware-config.ts'
import { mayUse } from '../../../../hal/doctor/nodes.ts'
import { laptop, type Machine, nodeGid, orinNano, patientClock, pi5, pi5Chips } from './machines.ts'

let open: Machine[] = []
async function machine(build: () => Promise<Machine>): Promise<Machine> {
  const built = await build()
  open.push(built)
  return built
}
afterEach(async () => {
  for (const one of open) await one[Symbol.asyncDispose]()
  open = []
})

const finding = ({ findings }: Examination, check: string) => findings.find((one) => one.check === check)
const bus = ({ buses }: Examination, id: string) => buses.find((one) => one.id === id)

const porch: HardwareConfig = {
  parts: [
    { driver: 'bme280', id: 'porch_climate', bus: 'i2c-1', address: 0x77 },
    { driver: 'pir', id: 'porch_motion', pin: 'GPIO17' },
  ],
}
const answers = () => [{ address: 0x48 }, { address: 0x68, kernelDriver: 'rtc-ds1307' }, { address: 0x76 }]

describe('a Raspberry Pi 5', () => {
  test('is recognised by its device tree, with header, chips, ports and watchdog', async () => {
    const seen = await (await machine(pi5)).examine({ askChip: pi5Chips })
    expect(seen.board).toEqual({
      id: 'raspberrypi-5',
      name: 'Raspberry Pi 5',
      recognisedBy: 'device tree compatible "raspberrypi,5-model-b"',
      generic: false,
    })
    expect(seen.headers[0]?.pins).toHaveLength(40)
    expect(seen.gpioChips.map(({ name }) => name)).toEqual(['pinctrl-rp1', 'gpio-brcmstb@107d508500'])
    expect(finding(seen, 'gpio')?.severity).toBe('ok')
    expect(seen.serialPorts.map(({ name }) => name)).toEqual(['uart-pl011'])
    expect(seen.watchdog).toMatchObject({
      identity: 'Broadcom BCM2835 Watchdog timer',
      maxS: 15,
      active: false,
      usable: true,
    })
    expect(seen.memory).toEqual({
      totalMb: 8443,
      availableMb: 6246,
      budgetMb: { runtime: 192, engine: 768 },
    })
    expect(seen.findings.filter(({ severity }) => severity === 'fail')).toEqual([])
  })

  test('[doctor-4] says which buses are on and who could be at an address', async () => {
    const seen = await (await machine(pi5)).examine({ askI2c: answers })
    expect(bus(seen, 'i2c-1')).toMatchObject({ state: 'on', pins: [3, 5] })
    const [tmp, clock, climate] = bus(seen, 'i2c-1')?.answers ?? []
    expect(tmp).toMatchObject({ address: '0x48', configured: [] })
    expect(tmp?.couldBe).toContain('tmp102')
    expect(clock).toEqual({ address: '0x68', kernelDriver: 'rtc-ds1307', configured: [], couldBe: [] })
    expect(climate?.couldBe).toContain('bme280')
    expect(bus(seen, 'spi-0.0')?.state).toBe('on')
    expect(bus(seen, 'uart-0')?.state).toBe('on')
    expect(bus(seen, 'i2c-2')).toMatchObject({
      state: 'off',
      note: 'add dtoverlay=i2c2-pi5,pins_4_5 to /boot/firmware/config.txt and restart',
    })
    expect(bus(seen, 'w1-0')?.answers).toEqual([
      { address: '28-0000075a1b2c', configured: [], couldBe: ['ds18b20'] },
    ])
  })

  test('[doctor-3] asks no bus when told so', async () => {
    const askI2c = vi.fn(answers)
    const seen = await (await machine(pi5)).examine({ askI2c, probeBuses: false })
    expect(askI2c).not.toHaveBeenCalled()
    expect(bus(seen, 'i2c-1')).toMatchObject({ state: 'on', note: 'not asked' })
    expect(bus(seen, 'i2c-1')?.answers).toBeUndefined()
  })

  test('shows which pins a configured part has, and that it answers at another address', async () => {
    const seen = await (await machine(pi5)).examine({ hardware: porch, askI2c: answers })
    expect(seen.pinUses).toEqual([
      { pin: 3, by: 'porch_climate' },
      { pin: 5, by: 'porch_climate' },
      { pin: 11, by: 'porch_motion' },
    ])
    expect(finding(seen, 'part porch_climate')).toEqual({
      check: 'part porch_climate',
      severity: 'fail',
      found: 'nobody answers at 0x77 on i2c-1',
      next: 'somebody answers at 0x76, where a bme280 can be too: try address: 0x76',
    })
  })

  test('says that a configured part answers, and what has it where the kernel does', async () => {
    const at = (address: number, driver = 'bme280'): HardwareConfig => ({
      parts: [{ driver, id: 'porch', bus: 'i2c-1', address }],
    })
    const pi = await machine(pi5)
    const there = await pi.examine({ hardware: at(0x76), askI2c: answers })
    expect(finding(there, 'part porch')).toMatchObject({ severity: 'ok', found: 'answers at 0x76 on i2c-1' })
    expect(bus(there, 'i2c-1')?.answers?.[2]?.configured).toEqual(['porch'])
    const taken = await pi.examine({ hardware: at(0x68, 'mpu6050'), askI2c: answers })
    expect(finding(taken, 'part porch')?.found).toBe("the kernel's driver rtc-ds1307 has 0x68 on i2c-1")
  })

  test('a part on a bus that is off fails with what turns it on', async () => {
    const hardware = { parts: [{ driver: 'bme280', id: 'porch', bus: 'i2c-3', address: 0x76 }] }
    const seen = await (await machine(pi5)).examine({ hardware })
    expect(finding(seen, 'i2c-3')).toMatchObject({
      severity: 'fail',
      next: 'add dtoverlay=i2c3-pi5,pins_6_7 to /boot/firmware/config.txt and restart',
    })
  })

  test('a mistake of the configuration is a finding, and the pins are shown all the same', async () => {
    const hardware = { parts: [...porch.parts, { driver: 'bme208', id: 'cellar' }] }
    const seen = await (await machine(pi5)).examine({ hardware })
    expect(finding(seen, 'configuration')?.found).toContain('there is no driver "bme208"')
    expect(seen.pinUses.map(({ pin }) => pin)).toContain(11)
  })

  test('a stuck bus is a finding with a next step, and nothing else is lost', async () => {
    const seen = await (await machine(pi5)).examine({
      askI2c: () => {
        throw new HalError('timeout', 'i2c-1: does not answer, SDA or SCL is held low')
      },
    })
    expect(finding(seen, 'i2c-1')).toMatchObject({ severity: 'warn' })
    expect(finding(seen, 'i2c-1')?.found).toContain('held low')
    expect(seen.thermal[0]).toMatchObject({ type: 'cpu-thermal', tempC: 52.35, verdict: 'ok' })
  })

  test('too little voltage fails, with what to do', async () => {
    const pi = await machine(pi5)
    await pi.write('sys/class/hwmon/hwmon1/in0_lcrit_alarm', '1\n')
    const seen = await pi.examine()
    expect(finding(seen, 'power')).toMatchObject({
      severity: 'fail',
      found: 'the supply gives too little voltage',
    })
  })

  test('nodes that the user may not use name their group', async () => {
    const pi = await machine(pi5)
    await pi.node('i2c-1', 0o660)
    const seen = await pi.examine({ hardware: porch, askI2c: answers })
    expect(bus(seen, 'i2c-1')?.state).toBe('denied')
    expect(seen.groups).toEqual({ in: ['stranger'], missing: [{ group: 'i2c', nodes: ['/dev/i2c-1'] }] })
    expect(finding(seen, 'groups')).toMatchObject({
      severity: 'warn',
      next: 'sudo usermod -aG i2c $USER, then log in again',
    })
    expect(finding(seen, 'i2c-1')?.severity).toBe('fail')
    const member = await pi.examine({ user: { uid: 12_345, gids: [nodeGid] } })
    expect(bus(member, 'i2c-1')?.state).toBe('on')
  })

  test('a kernel without the chip of the header is a warning that names the chips there are', async () => {
    const seen = await (await machine(pi5)).examine({ askChip: () => 'gpio-brcmstb' })
    expect(finding(seen, 'gpio')).toMatchObject({
      severity: 'warn',
      found: 'no GPIO chip is labelled pinctrl-rp1; there are gpio-brcmstb',
    })
  })

  test('[doctor-1] looks that take too long are findings, and the examination ends', async () => {
    const clock = {
      ...patientClock,
      after: (_ms: number, fn: () => void) => {
        fn()
        return () => {}
      },
    }
    const seen = await (await machine(pi5)).examine({ host: { clock } })
    expect(finding(seen, 'heat')).toEqual({
      check: 'heat',
      severity: 'warn',
      found: 'could not be looked at: no answer within 5 s',
      next: 'see what the kernel says with: sudo dmesg | tail',
    })
    expect(seen.board.id).toBe('raspberrypi-5')
  })
})

describe('a Jetson Orin Nano', () => {
  test('is hot, says what its rails carry, and why its GPU is not used', async () => {
    const seen = await (await machine(orinNano)).examine()
    expect(seen.board.id).toBe('nvidia-jetson-orin-nano')
    expect(seen.thermal[0]).toMatchObject({ type: 'cpu-thermal', verdict: 'warm', warnC: 95 })
    expect(finding(seen, 'heat')).toMatchObject({ severity: 'warn' })
    expect(seen.power[0]?.rails?.[0]).toMatchObject({ label: 'VDD_IN', volts: 5.04, amperes: 1.2 })
    const gpu = seen.accelerators.find(({ id }) => id === 'gpu')
    expect(gpu?.usable).toBe(false)
    expect(gpu?.whyNot).toMatch(/an adapter named tensorrt, which is not configured and not shipped/)
    expect(finding(seen, 'memory budget')).toMatchObject({ severity: 'warn' })
    expect(finding(seen, 'watchdog')).toMatchObject({ severity: 'warn' })
  })
})

describe('a laptop', () => {
  test('[doctor-3] is a generic machine, said, and none of its I2C buses is asked', async () => {
    const askI2c = vi.fn(answers)
    const seen = await (await machine(laptop)).examine({ arch: 'x64', askI2c })
    expect(seen.board).toMatchObject({
      id: 'generic-x64',
      generic: true,
      recognisedBy: 'architecture x64 (LENOVO:20XWCTO1WW is not listed)',
    })
    expect(finding(seen, 'board')?.found).toContain('no listed board is this machine')
    expect(askI2c).not.toHaveBeenCalled()
    expect(seen.buses).toEqual([])
    expect(seen.serialPorts.map(({ path }) => path.split('/').at(-1))).toEqual(['ttyS4'])
    expect(seen.findings.filter(({ severity }) => severity !== 'ok')).toEqual([])
  })

  test('asks an I2C bus that the configuration names', async () => {
    const askI2c = vi.fn(answers)
    const hardware = { parts: [{ driver: 'bme280', id: 'desk', bus: 'i2c-1', address: 0x76 }] }
    const seen = await (await machine(laptop)).examine({ arch: 'x64', askI2c, hardware })
    expect(askI2c.mock.calls.map(([, , id]: unknown[]) => id)).toEqual(['i2c-1'])
    expect(bus(seen, 'i2c-1')?.answers).toHaveLength(3)
  })
})

test.each([
  ['a Pi 5 that answers', pi5, { askI2c: answers, askChip: pi5Chips, hardware: porch }],
  ['a Pi 5 whose GPIO chips are others', pi5, { askChip: () => 'other' }],
  ['an Orin', orinNano, {}],
  ['a laptop', laptop, { arch: 'x64' }],
] as const)(
  '[doctor-2] every finding of %s that is not ok says what to do next',
  async (_name, build, options) => {
    const seen = await (await machine(build)).examine(options)
    expect(seen.findings.length).toBeGreaterThan(3)
    for (const { severity, next, found } of seen.findings) {
      if (severity !== 'ok') expect(next).toMatch(/\w/)
      expect(found).not.toMatch(/undefined|NaN|\n/)
    }
  },
)

test.each([
  ['root', { uid: 0, gids: [] }, 0o600, true],
  ['the owner', { uid: 7, gids: [] }, 0o600, true],
  ['the owner, without right', { uid: 7, gids: [8] }, 0o066, false],
  ['a member of the group', { uid: 9, gids: [8] }, 0o660, true],
  ['a member of the group that may only read', { uid: 9, gids: [8] }, 0o640, false],
  ['anybody else', { uid: 9, gids: [9] }, 0o666, true],
  ['anybody else, without right', { uid: 9, gids: [9] }, 0o660, false],
])('[doctor-5] %s may use a node as the kernel judges', (_who, user, mode, may) => {
  expect(mayUse({ uid: 7, gid: 8, mode }, user)).toBe(may)
})
