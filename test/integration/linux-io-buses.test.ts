/** I2C, SPI and the watchdog as a real Node process sees them; ioctls are answered by a preloaded library. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FakeMachine, type MachinePlan } from '../fixtures/fake-machine.ts'
import type { OnMachine } from '../fixtures/on-machine.ts'
import { SharedMachine } from '../fixtures/shared-machine.ts'

/** A Raspberry Pi 5 whose kernel counted the header's I2C bus as number 6. */
const plan: MachinePlan = {
  board: 'raspberrypi-5',
  nodes: ['i2c-6', 'spidev0.0', 'watchdog'],
  hardware: ['target i2c-6 0x48', 'target i2c-6 0x76', 'target i2c-6 0x50'],
  files: { 'sys/bus/platform/devices/1f00074000.i2c/i2c-6/name': 'Synopsys DesignWare I2C adapter\n' },
}

const pi = SharedMachine.use(plan)
const onPi = <Result>(body: (on: OnMachine) => Promise<Result>) => pi.run(body)

/** A Raspberry Pi 5 with more in its /sys. */
async function onPiWith<Result>(more: Partial<MachinePlan>, body: (on: OnMachine) => Promise<Result>) {
  using machine = new FakeMachine({ ...plan, ...more, files: { ...plan.files, ...more.files } })
  return await machine.run(body, { preload: pi.preload })
}

test('a bus is found by the address of its controller, whatever its number', async () => {
  const value = await onPi(async ({ io, fake }) => {
    fake.register('i2c-6', 0x48, 5, 0xa5)
    return [...io.i2c({ bus: 'i2c-1', address: 0x48 }).writeRead(Uint8Array.of(5), 1)]
  })
  expect(value).toEqual([0xa5])
})

test('a write without a stop and the read after it are one combined transaction', async () => {
  const seen = await onPi(async ({ io, fake }) => {
    fake.register('i2c-6', 0x48, 0x20, 1)
    fake.register('i2c-6', 0x48, 0x21, 2)
    const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
    const pointer = Uint8Array.of(0x20)
    part.write(pointer, false)
    // The caller's buffer is its own again.
    pointer[0] = 0x99
    const combined = [...part.read(2)]
    const messages = fake.i2cMessages()
    part.write(Uint8Array.of(0x20, 7))
    return {
      combined,
      messages,
      alone: fake.i2cMessages(),
      after: [...part.writeRead(Uint8Array.of(0x20), 1)],
    }
  })
  expect(seen).toEqual({ combined: [1, 2], messages: 2, alone: 1, after: [7] })
})

test('short and long reads come back whole', async () => {
  const lengths = await onPi(async ({ io }) => {
    const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
    for (let register = 0; register < 256; register += 1) part.write(Uint8Array.of(register, register ^ 0x5a))
    const wrong = (length: number) =>
      part.writeRead(Uint8Array.of(0), length).findIndex((byte, n) => byte !== ((n & 0xff) ^ 0x5a))
    return [1, 8, 63, 64, 65, 256, 8192].map(wrong)
  })
  expect(lengths).toEqual([-1, -1, -1, -1, -1, -1, -1])
})

test('registers are bytes and words, little-endian unless said otherwise', async () => {
  const seen = await onPi(async ({ io, fake }) => {
    const part = io.smbus({ bus: 'i2c-1', address: 0x76 })
    part.writeUint8(1, 0xfe)
    part.writeUint16(2, 0x1234)
    part.writeUint16(4, 0x1234, true)
    part.writeBuffer(6, Uint8Array.of(9, 8, 7))
    const raw = [...part.readBuffer(1, 8)]
    return {
      raw,
      messages: fake.i2cMessages(),
      words: [part.readUint8(1), part.readUint16(2), part.readUint16(4, true)],
    }
  })
  expect(seen).toEqual({
    raw: [0xfe, 0x34, 0x12, 0x12, 0x34, 9, 8, 7],
    messages: 2,
    words: [0xfe, 0x1234, 0x1234],
  })
})

test('an address that nobody has is no-acknowledge, retryable, and names the place', async () => {
  const said = await onPi(async ({ io }) => {
    try {
      io.i2c({ bus: 'i2c-1', address: 0x49 }).read(1)
      return undefined
    } catch (error) {
      const { code, retryable, message } = error as { code: string; retryable: boolean; message: string }
      return { code, retryable, message: message.replace(/\(\/.*\/dev/, '(/dev') }
    }
  })
  expect(said).toEqual({
    code: 'no-acknowledge',
    retryable: true,
    message:
      'i2c-1 address 0x49 (/dev/i2c-6): nobody acknowledges; is it wired, powered and at this address? [EREMOTEIO]',
  })
})

test('each error of the kernel has its code', async () => {
  const codes = await onPi(async ({ io, fake, failure }) => {
    const { errno } = process.getBuiltinModule('node:os').constants
    const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
    const names = ['ENXIO', 'EAGAIN', 'EBUSY', 'EBADMSG', 'ENODEV', 'EOPNOTSUPP', 'EIO', 'EPERM'] as const
    const seen = names.map((name) => {
      fake.i2cError(errno[name])
      return [name, failure(() => part.read(1)).split(':')[0]]
    })
    fake.i2cError(0)
    return { ...Object.fromEntries(seen), well: failure(() => part.read(1)) }
  })
  expect(codes).toEqual({
    ENXIO: 'no-acknowledge',
    EAGAIN: 'busy',
    EBUSY: 'busy',
    EBADMSG: 'checksum',
    ENODEV: 'not-present',
    EOPNOTSUPP: 'unsupported',
    EIO: 'other',
    EPERM: 'permission',
    well: 'nothing',
  })
})

test('[hal-linux-6] a stuck bus is a timeout, after the 50 ms that were set at open and not the second of the kernel', async () => {
  const seen = await onPi(async ({ io, fake, failure }) => {
    const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
    fake.i2cError(process.getBuiltinModule('node:os').constants.errno.ETIMEDOUT)
    const said = failure(() => part.read(1))
    fake.i2cError(0)
    return { said, timeoutMs: fake.i2cTimeoutMs() }
  })
  expect(seen).toEqual({
    said: expect.stringMatching(/^timeout: i2c-1 address 0x48 .*: no answer in time; is the bus stuck/),
    timeoutMs: 50,
  })
})

test('addresses, lengths and buses that cannot be are refused before the bus is touched', async () => {
  const said = await onPi(async ({ io, failure }) => {
    const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
    return [
      failure(() => io.i2c({ bus: 'i2c-1', address: 0x78 })),
      failure(() => io.i2c({ bus: 'i2c-1', address: 0x07 })),
      failure(() => part.read(8193)),
      failure(() => io.i2c({ bus: 'i2c-9', address: 0x48 })),
      failure(() => io.i2c({ bus: 'i2c-2', address: 0x48 })),
    ]
  })
  expect(said).toEqual([
    'out-of-range: i2c-1: address 0x78 is not between 0x08 and 0x77',
    'out-of-range: i2c-1: address 0x07 is not between 0x08 and 0x77',
    'out-of-range: i2c-1 address 0x48: 8193 bytes, a message has 0 to 8192',
    'not-present: i2c-9 is no i2c bus of Raspberry Pi 5, i2c buses are i2c-1, i2c-2, i2c-3',
    expect.stringMatching(/^not-present: i2c-2 is off on Raspberry Pi 5: add .*config\.txt/),
  ])
})

test('writes without a stop do not pile up', async () => {
  const said = await onPi(async ({ io, failure }) => {
    const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
    for (let n = 0; n < 40; n += 1) part.write(Uint8Array.of(0), false)
    return failure(() => part.write(Uint8Array.of(0), false))
  })
  expect(said).toBe('out-of-range: i2c-1 address 0x48: more than 40 writes without a stop')
})

test('a part that a kernel driver has is refused with the name of the driver', async () => {
  const said = await onPiWith(
    {
      links: { 'sys/bus/i2c/devices/6-0048/driver': '../../drivers/lm75' },
      files: { 'sys/bus/i2c/drivers/lm75/uevent': '' },
    },
    async ({ io, failure }) => failure(() => io.i2c({ bus: 'i2c-1', address: 0x48 })),
  )
  expect(said).toBe(
    "busy: i2c-1 address 0x48: the kernel's driver lm75 has it; free it, or read it from there",
  )
})

test('what is closed answers closed', async () => {
  const said = await onPi(async ({ io, failure }) => {
    const part = io.i2c({ bus: 'i2c-1', address: 0x48 })
    part.close()
    part.close()
    return [failure(() => part.read(1)), failure(() => part.write(Uint8Array.of(1), false))]
  })
  expect(said).toEqual(['closed: i2c-1 address 0x48 is closed', 'closed: i2c-1 address 0x48 is closed'])
})

test('a probe finds who answers and who belongs to the kernel', async () => {
  const found = await onPiWith(
    {
      links: { 'sys/bus/i2c/devices/6-0068/driver': '../../drivers/rtc-ds1307' },
      files: { 'sys/bus/i2c/drivers/rtc-ds1307/uevent': '' },
    },
    async ({ board, roots, probeI2c }) => probeI2c(board, roots, 'i2c-1'),
  )
  expect(found).toEqual([
    { address: 0x48 },
    { address: 0x50 },
    { address: 0x68, kernelDriver: 'rtc-ds1307' },
    { address: 0x76 },
  ])
})

test('a probe of a stuck bus says so at the first address, instead of waiting for all', async () => {
  const said = await onPi(async ({ board, roots, probeI2c, fake, failure }) => {
    fake.i2cError(process.getBuiltinModule('node:os').constants.errno.ETIMEDOUT)
    const said = failure(() => probeI2c(board, roots, 'i2c-1'))
    fake.i2cError(0)
    return said
  })
  expect(said).toMatch(/^timeout: i2c-1 \(.*i2c-6\): no answer in time; is the bus stuck/)
})

test('a transfer on SPI is full duplex, at the clock and in the mode that were asked for', async () => {
  const seen = await onPi(async ({ io, fake, failure }) => {
    const part = io.spi({ bus: 'spi-0.0', hz: 2_400_000, mode: 3 })
    const before = fake.spiTransfers()
    const back = [...part.transfer(Uint8Array.of(1, 2, 0xff))]
    part.write(Uint8Array.of(1))
    const read = [...part.read(2)]
    const long = part.transfer(new Uint8Array(4096)).every((byte) => byte === 0xff)
    const counts = { mode: fake.spiMode(), hz: fake.spiHz(), transfers: fake.spiTransfers() - before }
    const tooLong = failure(() => part.write(new Uint8Array(4097)))
    part.close()
    return { back, read, long, counts, tooLong, closed: failure(() => part.read(1)) }
  })
  expect(seen).toEqual({
    back: [0xfe, 0xfd, 0x00],
    read: [0xff, 0xff],
    long: true,
    counts: { mode: 3, hz: 2_400_000, transfers: 4 },
    tooLong: expect.stringMatching(
      /^out-of-range: spi-0\.0: 4097 bytes, .* at most 4096; more with spidev\.bufsiz=4097/,
    ),
    closed: 'closed: spi-0.0 is closed',
  })
})

test('the watchdog is set, fed, and told goodbye only by close', async () => {
  using machine = new FakeMachine(plan)
  const seen = await machine.run(
    async ({ openWatchdog, roots, fake, failure }) => {
      const path = `${roots.dev}/watchdog`
      const watchdog = openWatchdog(path, 10)
      watchdog.feed()
      watchdog.feed()
      const said = process.getBuiltinModule('node:fs').readFileSync(path, 'utf8')
      const { identity, timeoutS, canStop } = watchdog
      watchdog.close()
      watchdog.close()
      return { identity, timeoutS, canStop, fed: fake.fed(), said, closed: failure(() => watchdog.feed()) }
    },
    { preload: pi.preload },
  )
  expect(seen).toEqual({
    identity: 'Fake watchdog',
    timeoutS: 10,
    canStop: true,
    fed: 2,
    said: '',
    closed: expect.stringMatching(/^closed: watchdog .* is closed$/),
  })
  expect(readFileSync(machine.path('dev/watchdog'), 'utf8')).toBe('V')
})

test('a watchdog that cannot be set so long is refused and left stopped', async () => {
  using machine = new FakeMachine(plan)
  const said = await machine.run(
    async ({ openWatchdog, roots, failure }) => failure(() => openWatchdog(`${roots.dev}/watchdog`, 60)),
    { preload: pi.preload },
  )
  expect(said).toMatch(/^out-of-range: watchdog .*, 60 s .*\[EINVAL\]$/)
  expect(readFileSync(machine.path('dev/watchdog'), 'utf8')).toBe('V')
})

test('[hal-linux-8] a process that dies does not tell the watchdog goodbye', async () => {
  using machine = new FakeMachine(plan)
  const run = machine.run(
    async ({ openWatchdog, roots }) => {
      openWatchdog(`${roots.dev}/watchdog`, 10).feed()
      process.kill(process.pid, 'SIGKILL')
    },
    { preload: pi.preload },
  )
  await expect(run).rejects.toThrow('SIGKILL')
  expect(readFileSync(machine.path('dev/watchdog'), 'utf8')).toBe('')
})
