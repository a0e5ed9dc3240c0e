/** GPIO as a real Node process sees it: the character device's second ABI, answered by a preloaded library. */
import { chmodSync, chownSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FakeMachine } from '../fixtures/fake-machine.ts'
import type { OnMachine } from '../fixtures/on-machine.ts'
import { SharedMachine } from '../fixtures/shared-machine.ts'

/** As a Raspberry Pi 5: the header's chip is not number 0, and its lines have names. */
const plan = {
  board: 'raspberrypi-5',
  nodes: ['gpiochip0', 'gpiochip1'],
  hardware: [
    'chip gpiochip0 gpio-brcmstb@107d508500 32',
    'chip gpiochip1 pinctrl-rp1 54',
    ...Array.from({ length: 28 }, (_, n) => `line gpiochip1 ${n} GPIO${n}`),
    'held gpiochip1 9 spi0',
  ],
}

const pi = SharedMachine.use(plan)
const onPi = <Result>(body: (on: OnMachine) => Promise<Result>) => pi.run(body)

test('an output has its first value from the moment it is requested, and what is written after it', async () => {
  const levels = await onPi(async ({ io, fake }) => {
    const seen: number[] = []
    const line = io.digital({ pin: 11, mode: 'output', initial: 1 })
    const look = () => seen.push(fake.level('gpiochip1', 17))
    look()
    line.write(0)
    look()
    line.write(1)
    look()
    return [...seen, line.read()]
  })
  expect(levels).toEqual([1, 0, 1, 1])
})

test('a pin is found by header number, by name and by line, whatever the number of its chip', async () => {
  const levels = await onPi(async ({ io, fake }) => {
    for (const pin of [11, 'GPIO27', '22']) io.digital({ pin, mode: 'output', initial: 1 })
    return [17, 27, 25].map((offset) => fake.level('gpiochip1', offset))
  })
  expect(levels).toEqual([1, 1, 1])
})

test('an active-low output is inverted on the wire, from its first value on', async () => {
  const seen = await onPi(async ({ io, fake }) => {
    const line = io.digital({ pin: 11, mode: 'output', activeLow: true, initial: 0 })
    const first = fake.level('gpiochip1', 17)
    line.write(1)
    return [first, fake.level('gpiochip1', 17), line.read()]
  })
  expect(seen).toEqual([1, 0, 1])
})

test('bias, drive and debounce reach the kernel', async () => {
  const seen = await onPi(async ({ io, fake }) => {
    const used = 1
    io.digital({ pin: 'GPIO2', mode: 'input-pull-up', debounceUs: 1500 })
    io.digital({ pin: 'GPIO3', mode: 'input-pull-down' })
    io.digital({ pin: 'GPIO4', mode: 'output-open-drain' })
    return [2, 3, 4].map((n) => [fake.flags('gpiochip1', n) - used, fake.debounceUs('gpiochip1', n)])
  })
  // GPIO_V2_LINE_FLAG_INPUT 4, OUTPUT 8, OPEN_DRAIN 64, BIAS_PULL_UP 256, BIAS_PULL_DOWN 512.
  expect(seen).toEqual([
    [4 + 256, 1500],
    [4 + 512, 0],
    [8 + 64, 0],
  ])
})

test('a bank starts safe and changes all its lines in one request', async () => {
  const seen = await onPi(async ({ io, fake }) => {
    const offsets = [17, 27, 22]
    const bank = io.digitalBank({
      mode: 'output',
      pins: [{ pin: 'GPIO17', initial: 1 }, { pin: 'GPIO27', activeLow: true }, { pin: 'GPIO22' }],
    })
    const levels = () => offsets.map((n) => fake.level('gpiochip1', n))
    const safe = levels()
    const before = fake.setValues()
    bank.write(0b110)
    const all = levels()
    bank.write(0b001, 0b011)
    return { safe, all, masked: levels(), requests: fake.setValues() - before, read: bank.read() }
  })
  expect(seen).toEqual({ safe: [1, 1, 0], all: [0, 0, 1], masked: [1, 1, 1], requests: 2, read: 0b101 })
})

test('a bank of 32 lines uses its highest bit', async () => {
  using machine = new FakeMachine({
    board: 'generic-x64',
    nodes: ['gpiochip0'],
    hardware: ['chip gpiochip0 expander 64'],
  })
  const seen = await machine.run(
    async ({ io, fake }) => {
      const pins = Array.from({ length: 32 }, (_, n) => ({ pin: `expander#${n + 8}` }))
      const bank = io.digitalBank({ mode: 'output', pins })
      bank.write(0x80000001)
      return [
        fake.level('gpiochip0', 39),
        fake.level('gpiochip0', 8),
        fake.level('gpiochip0', 38),
        bank.read(),
      ]
    },
    { preload: pi.preload },
  )
  expect(seen).toEqual([1, 1, 0, 0x80000001])
})

test('lines of two chips in one bank are refused', async () => {
  using machine = new FakeMachine({
    board: 'generic-x64',
    nodes: ['gpiochip0', 'gpiochip1'],
    hardware: ['chip gpiochip0 left 4', 'chip gpiochip1 right 4'],
  })
  const said = await machine.run(
    async ({ io, failure }) =>
      failure(() => io.digitalBank({ mode: 'output', pins: [{ pin: 'left#0' }, { pin: 'right#1' }] })),
    { preload: pi.preload },
  )
  expect(said).toBe(
    'unsupported: one bank cannot hold lines of two chips: left#0 is on left, right#1 on right',
  )
})

test('one line under two names is refused with both, in one bank and in two requests', async () => {
  using machine = new FakeMachine({
    board: 'generic-x64',
    nodes: ['gpiochip0'],
    hardware: ['chip gpiochip0 left 4', 'line gpiochip0 1 LAMP'],
  })
  const said = await machine.run(
    async ({ io, failure }) => [
      failure(() => io.digitalBank({ mode: 'output', pins: [{ pin: 'left/LAMP' }, { pin: 'left#1' }] })),
      failure(() => io.digital({ mode: 'output', pin: 'left/LAMP' })),
      failure(() => io.digital({ mode: 'input', pin: 'left#1' })),
    ],
    { preload: pi.preload },
  )
  expect(said).toEqual([
    'busy: left/LAMP and left#1 are one line (left line 1)',
    'nothing',
    'busy: left#1 (left line 1): in use by "ganglion left/LAMP"',
  ])
})

test('edges arrive with direction and time of the kernel, in order', async () => {
  const edges = await onPi(async ({ io, fake, until }) => {
    const seen: { rising: boolean; timestampNs: bigint; missed: number }[] = []
    const line = io.digital({
      pin: 11,
      mode: 'input',
      edge: { rising: true, falling: true },
      onReadable: (edge) => seen.push(edge),
    })
    const before = process.hrtime.bigint()
    for (const level of [1, 0, 1] as const) fake.drive('gpiochip1', 17, level)
    const after = process.hrtime.bigint()
    await until(() => seen.length === 3)
    const inTime = seen.every(({ timestampNs }) => timestampNs >= before && timestampNs <= after)
    return { rising: seen.map(({ rising }) => rising), inTime, missed: seen[2]?.missed, level: line.read() }
  })
  expect(edges).toEqual({ rising: [true, false, true], inTime: true, missed: 0, level: 1 })
})

test('only the edges that were asked for arrive', async () => {
  const rising = await onPi(async ({ io, fake, until }) => {
    const seen: boolean[] = []
    const onReadable = (edge: { rising: boolean }) => seen.push(edge.rising)
    io.digital({ pin: 11, mode: 'input', edge: { rising: false, falling: true }, onReadable })
    for (const level of [1, 0, 1, 0] as const) fake.drive('gpiochip1', 17, level)
    await until(() => seen.length === 2)
    return seen
  })
  expect(rising).toEqual([false, false])
})

test('promises that a callback settles go on at once, and an error in it is not swallowed', async () => {
  const seen = await onPi(async ({ io, fake }) => {
    const first = Promise.withResolvers<boolean>()
    const uncaught = Promise.withResolvers<string>()
    process.once('uncaughtException', (error) => uncaught.resolve(error.message))
    io.digital({
      pin: 11,
      mode: 'input',
      edge: { rising: true, falling: true },
      onReadable: ({ rising }) => {
        if (!rising) throw new Error('from the callback')
        first.resolve(rising)
      },
    })
    fake.drive('gpiochip1', 17, 1)
    // Nothing else wakes the loop: only the callback's own turn can run what waits for it.
    const rising = await first.promise
    fake.drive('gpiochip1', 17, 0)
    return { rising, error: await uncaught.promise }
  })
  expect(seen).toEqual({ rising: true, error: 'from the callback' })
})

test('[hal-linux-7] edges that nobody could keep are counted on the next one', async () => {
  const { missed, seen } = await onPi(async ({ io, fake, until }) => {
    let seen = 0
    let missed = 0
    const onReadable = (edge: { missed: number }) => {
      seen += 1
      missed += edge.missed
    }
    io.digital({ pin: 11, mode: 'input', edge: { rising: true, falling: true }, onReadable })
    // The thread is busy for longer than the kernel's buffer lasts.
    for (let n = 1; n <= 3000; n += 1) fake.drive('gpiochip1', 17, n % 2 === 0 ? 0 : 1)
    await until(() => seen > 0)
    fake.drive('gpiochip1', 17, 1)
    await until(() => seen + missed === 3001)
    return { seen, missed }
  })
  expect(missed).toBeGreaterThan(0)
  expect(seen + missed).toBe(3001)
})

test('a chip that is unplugged ends its edges with not-present, once', async () => {
  const said = await onPi(async ({ io, fake, until, failure }) => {
    const errors: string[] = []
    const line = io.digital({
      pin: 11,
      mode: 'input',
      edge: { rising: true, falling: true },
      onReadable: () => {},
      onError: (error) => errors.push(`${error.code}: ${error.message}`),
    })
    fake.unplug('gpiochip1')
    await until(() => errors.length > 0)
    return [...errors, failure(() => line.read())]
  })
  expect(said).toEqual([
    'not-present: GPIO17: its chip is gone',
    expect.stringMatching(/^not-present: GPIO17 \(.*gpiochip1\): it is gone \[ENODEV\]$/),
  ])
})

test('a counter counts rising edges, even those that were lost and those that nobody waited for', async () => {
  const counts = await onPi(async ({ io, fake, until }) => {
    let told = 0
    const counter = io.pulseCount({ signal: 11, onReadable: () => (told += 1) })
    const pulse = () => {
      fake.drive('gpiochip1', 17, 1)
      fake.drive('gpiochip1', 17, 0)
    }
    for (let n = 0; n < 5; n += 1) pulse()
    const atOnce = counter.read()
    counter.write(0)
    for (let n = 0; n < 2000; n += 1) pulse()
    counter.read()
    pulse()
    await until(() => counter.read() === 2001)
    return { atOnce, told: told > 0 }
  })
  expect(counts).toEqual({ atOnce: 5, told: true })
})

test('a quadrature encoder counts four a turn of its phases, down when it turns back', async () => {
  const counts = await onPi(async ({ io, fake }) => {
    const encoder = io.pulseCount({ signal: 'GPIO17', control: 'GPIO27' })
    const forward = [
      [17, 1],
      [27, 1],
      [17, 0],
      [27, 0],
    ] as const
    for (const [line, level] of forward) fake.drive('gpiochip1', line, level)
    const once = encoder.read()
    for (const [line, level] of forward.toReversed()) fake.drive('gpiochip1', line, level === 1 ? 0 : 1)
    fake.drive('gpiochip1', 27, 1)
    return [once, encoder.read()]
  })
  expect(counts).toEqual([4, -1])
})

test('[hal-linux-5] each pin that must not be used is refused with what it is', async () => {
  const said = await onPi(async ({ io, failure }) =>
    [1, 6, 27, 41, 'GPIO99'].map((pin) => failure(() => io.digital({ pin, mode: 'output' }))),
  )
  expect(said).toEqual([
    'out-of-range: pin 1 (3V3) of Raspberry Pi 5 is a 3.3 V supply, it is neither input nor output',
    expect.stringMatching(/^out-of-range: pin 6 \(.+\) of Raspberry Pi 5 is ground, /),
    expect.stringMatching(/^out-of-range: pin 27 \(GPIO0\) of Raspberry Pi 5 is reserved: HAT EEPROM/),
    expect.stringMatching(/^not-present: 41 is no pin of Raspberry Pi 5: J8 offers pins 3, 5, /),
    expect.stringMatching(/^not-present: GPIO99 is no pin of Raspberry Pi 5: /),
  ])
})

test('a line that somebody holds is busy, with their name; so is one of our own', async () => {
  const said = await onPi(async ({ io, failure }) => {
    io.digital({ pin: 11, mode: 'output' })
    return ['GPIO9', 11].map((pin) => failure(() => io.digital({ pin, mode: 'input' })))
  })
  expect(said).toEqual([
    'busy: GPIO9 (pinctrl-rp1 line 9): in use by "spi0"',
    'busy: GPIO17 (pinctrl-rp1 line 17): in use by "ganglion GPIO17"',
  ])
})

test('a chip that cannot be looked at matters only to who needs it', async () => {
  using machine = new FakeMachine({ ...plan, nodes: [...plan.nodes, 'gpiochip2'] })
  const said = await machine.run(
    async ({ io, failure, roots, board, createLinuxIo }) => {
      const others = { ...board, headers: [] }
      const elsewhere = createLinuxIo({ board: others, roots, host: { log: console as never } })
      return [
        failure(() => io.digital({ pin: 11, mode: 'output' })),
        failure(() => elsewhere.digital({ pin: 'usb-expander#3', mode: 'output' })),
      ]
    },
    { preload: pi.preload },
  )
  expect(said).toEqual([
    'nothing',
    expect.stringMatching(/^unsupported: .*gpiochip2: the driver does not know this request \[ENOTTY\]$/),
  ])
})

test('a machine without the chip says which chips there are', async () => {
  using machine = new FakeMachine({
    board: 'raspberrypi-5',
    nodes: ['gpiochip0'],
    hardware: ['chip gpiochip0 pinctrl-bcm2711 58'],
  })
  const said = await machine.run(
    async ({ io, failure }) => failure(() => io.digital({ pin: 11, mode: 'output' })),
    { preload: pi.preload },
  )
  expect(said).toBe('not-present: GPIO17: there is no GPIO chip pinctrl-rp1, there are: pinctrl-bcm2711')
})

test('what is closed answers closed, and its line is free again', async () => {
  const said = await onPi(async ({ io, failure }) => {
    const line = io.digital({ pin: 11, mode: 'output' })
    line.close()
    line.close()
    const after = [failure(() => line.read()), failure(() => line.write(1))]
    const again = io.digital({ pin: 11, mode: 'output' })
    io.close()
    return [...after, failure(() => again.read()), failure(() => io.digital({ pin: 11, mode: 'input' }))]
  })
  expect(said).toEqual([
    'closed: GPIO17 is closed',
    'closed: GPIO17 is closed',
    'closed: GPIO17 is closed',
    'closed: the IO of Raspberry Pi 5 is closed',
  ])
})

test('an input cannot be written, an output reports no edges', async () => {
  const said = await onPi(async ({ io, failure }) => {
    const edge = { rising: true, falling: true }
    return [
      failure(() => io.digital({ pin: 11, mode: 'input' }).write(1)),
      failure(() => io.digital({ pin: 13, mode: 'output', edge, onReadable: () => {} })),
    ]
  })
  expect(said).toEqual([
    'unsupported: GPIO17 is an input, it cannot be written',
    'unsupported: GPIO27 is an output, only inputs report edges',
  ])
})

test('[hal-linux-8] lines of a thread that is ended in the middle are given back', async () => {
  const held = await onPi(async ({ io, roots, board, failure }) => {
    const { Worker } = process.getBuiltinModule('node:worker_threads')
    const { once } = process.getBuiltinModule('node:events')
    const { pathToFileURL } = process.getBuiltinModule('node:url')
    const source = `
      const { workerData, parentPort } = require('node:worker_threads')
      import(workerData.module).then(({ createLinuxIo }) => {
        const io = createLinuxIo({ board: workerData.board, roots: workerData.roots, host: { log: {} } })
        io.digital({ pin: 11, mode: 'input', edge: { rising: true, falling: true }, onReadable: () => {} })
        parentPort.postMessage('open')
      })`
    const fixtures = process.argv[1]?.replace(/[^/]+$/, '') ?? ''
    const module = pathToFileURL(`${fixtures}../../hal/linux/linux-io.ts`).href
    const worker = new Worker(source, { eval: true, workerData: { module, board, roots } })
    await once(worker, 'message')
    const during = failure(() => io.digital({ pin: 11, mode: 'input' }))
    await worker.terminate()
    return [during, failure(() => io.digital({ pin: 11, mode: 'input' }))]
  })
  expect(held).toEqual(['busy: GPIO17 (pinctrl-rp1 line 17): in use by "ganglion GPIO17"', 'nothing'])
})

test('a user who may not use the chip is told which group to join', async (ctx) => {
  ctx.skip(process.getuid?.() !== 0, 'only root can become another user')
  using machine = new FakeMachine(plan)
  chmodSync(machine.folder, 0o755)
  chmodSync(pi.folder, 0o755)
  for (const node of plan.nodes) {
    chmodSync(machine.path(`dev/${node}`), 0o660)
    chownSync(machine.path(`dev/${node}`), 0, gidOfGames)
  }
  const said = await machine.run(
    async ({ io, failure }) => failure(() => io.digital({ pin: 11, mode: 'output' })),
    { preload: pi.preload, uid: nobody },
  )
  expect(said).toMatch(
    /^permission: .*gpiochip0: no permission; run: sudo usermod -aG games \$USER and log in again$/,
  )
})

/** Any group that every Debian has, and a user who is in it not. */
const gidOfGames = 60
const nobody = 65534
