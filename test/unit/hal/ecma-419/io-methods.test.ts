/**
 * Every method of every IO class of ECMA-419, by the clause that defines it: what it answers, what goes over the wires, what it
 * refuses. Clause 10 numbers its classes differently from edition to edition: they are cited by their titles.
 */
import { describe, expect, it } from 'vitest'
import { HalError } from '../../../../hal/contract/errors.ts'
import { buffer, i2cAt, type ModuleWorld, moduleWorld, type Name, pinsAt, places } from './module-io.ts'

type Wrong = readonly [readonly unknown[], new (...args: never[]) => Error]
interface More {
  readonly options?: Record<string, unknown>
  readonly before?: (world: ModuleWorld) => void
  /** What went over the wires. */
  readonly wire?: readonly (readonly number[])[]
  /** Arguments that it refuses, with the class of error. */
  readonly wrong?: readonly Wrong[]
}
type Row = readonly [clause: string, call: string, args: readonly unknown[], answers?: unknown, more?: More]

const has = (...bytes: number[]) => ({ before: ({ registers }: ModuleWorld) => registers.set(bytes) })
const got = (...bytes: number[]) => ({ before: ({ send }: ModuleWorld) => send(bytes) })
const bits = (bytes: number[], bitLength: number) => Object.assign(Uint8Array.from(bytes), { bitLength })
const high = (pin: number) => ({ before: ({ drive }: ModuleWorld) => drive(pin, 1) })
const notBytes: Wrong = [[7], TypeError]
const none = undefined

const rows: readonly Row[] = [
  ['I²C', 'I2C.read', [2], buffer(1, 2), has(1, 2)],
  [
    '9 read',
    'I2C.read',
    [new DataView(new ArrayBuffer(2))],
    2,
    {
      wrong: [
        [[-1], RangeError],
        [['2'], TypeError],
      ],
    },
  ],
  ['I²C', 'I2C.write', [buffer(7, 8)], none, { wire: [[7, 8]], wrong: [notBytes, [[[7]], TypeError]] }],
  [
    'I²C',
    'I2C.writeRead',
    [buffer(2), 1],
    buffer(5),
    { ...has(0, 0, 5), wire: [[2]], wrong: [[[2, 1], TypeError]] },
  ],
  [
    'SMBus',
    'SMBus.readUint8',
    [1],
    9,
    {
      ...has(0, 9),
      wire: [[1]],
      wrong: [
        [[256], RangeError],
        [['1'], TypeError],
      ],
    },
  ],
  [
    'SMBus',
    'SMBus.writeUint8',
    [1, 255],
    none,
    {
      wire: [[1, 255]],
      wrong: [
        [[1, 256], RangeError],
        [[1], TypeError],
      ],
    },
  ],
  ['SMBus', 'SMBus.readUint16', [0], 0x1234, has(0x34, 0x12)],
  ['SMBus', 'SMBus.readUint16', [0, true], 0x3412, has(0x34, 0x12)],
  [
    'SMBus',
    'SMBus.writeUint16',
    [1, 0x1234],
    none,
    { wire: [[1, 0x34, 0x12]], wrong: [[[1, 65_536], RangeError]] },
  ],
  ['SMBus', 'SMBus.writeUint16', [1, 0x1234, true], none, { wire: [[1, 0x12, 0x34]] }],
  ['SMBus', 'SMBus.readBuffer', [1, 2], buffer(5, 6), { ...has(0, 5, 6), wrong: [[[1, 'x'], TypeError]] }],
  ['SMBus', 'SMBus.readBuffer', [1, new Uint8Array(3)], 3],
  [
    'SMBus',
    'SMBus.writeBuffer',
    [1, buffer(5, 6)],
    none,
    { wire: [[1, 5, 6]], wrong: [[[1, 5], TypeError]] },
  ],
  ['SMBus', 'SMBus.readQuick', []],
  ['SMBus', 'SMBus.writeQuick', [], none, { wire: [[]] }],
  ['SMBus', 'SMBus.receiveByte', [], 77, has(77)],
  ['SMBus', 'SMBus.sendByte', [5], none, { wire: [[5]], wrong: [[[256], RangeError]] }],
  [
    'SPI',
    'SPI.read',
    [2],
    buffer(255, 255),
    {
      wrong: [
        [[-1], RangeError],
        [[], TypeError],
      ],
    },
  ],
  ['SPI', 'SPI.write', [buffer(1, 2)], none, { wire: [[1, 2]], wrong: [notBytes] }],
  [
    'SPI',
    'SPI.write',
    [bits([1, 2], 8)],
    none,
    {
      wire: [[1]],
      wrong: [
        [[bits([1], 9)], RangeError],
        [[bits([1], 3)], HalError],
      ],
    },
  ],
  [
    'SPI',
    'SPI.transfer',
    [Uint8Array.of(0, 255)],
    Uint8Array.of(255, 0),
    { wire: [[0, 255]], wrong: [notBytes] },
  ],
  ['SPI', 'SPI.flush', [true]],
  ['Serial', 'Serial.read', []],
  [
    'Serial',
    'Serial.read',
    [2],
    buffer(1, 2),
    {
      ...got(1, 2, 3),
      wrong: [
        [[0], RangeError],
        [[true], TypeError],
      ],
    },
  ],
  ['Serial', 'Serial.read', [], buffer(1, 2, 3), got(1, 2, 3)],
  ['Serial', 'Serial.read', [new Uint8Array(4)], 1, got(1)],
  ['Serial', 'Serial.read', [], 200, { ...got(200), options: { format: 'number' } }],
  [
    'Serial',
    'Serial.write',
    [buffer(1, 2)],
    none,
    { wire: [[1, 2]], wrong: [notBytes, [[new Uint8Array(4097)], RangeError]] },
  ],
  [
    'Serial',
    'Serial.write',
    [65],
    none,
    {
      options: { format: 'number' },
      wire: [[65]],
      wrong: [
        [[256], RangeError],
        [[buffer(1)], TypeError],
      ],
    },
  ],
  ['Serial', 'Serial.flush', [], none, { wrong: [[[true], TypeError]] }],
  [
    'Serial',
    'Serial.set',
    [{}],
    none,
    {
      wrong: [
        [[], TypeError],
        [[{ break: true }], HalError],
        [[{ requestToSend: false }], HalError],
      ],
    },
  ],
  ['Digital', 'Digital.read', [], 1, high(11)],
  ['Digital', 'Digital.read', [], 0, { ...high(11), options: { activeLow: true } }],
  ['Digital bank', 'DigitalBank.read', [], 0b10, high(13)],
  ['Pulse count', 'PulseCount.read', [], 0],
  [
    'Pulse count',
    'PulseCount.write',
    [5],
    none,
    {
      wrong: [
        [[1.5], RangeError],
        [['5'], TypeError],
      ],
    },
  ],
  ['Analog input', 'Analog.read', [], 2048],
]
/** What throws whatever it is given here, and why. */
const refusing: readonly (readonly [call: string, message: RegExp])[] = [
  ['Digital.write', /it wrote to an input/],
  ['DigitalBank.write', /it wrote to inputs/],
  ['Analog.write', /it wrote to an input/],
  ['Serial.get', /no clear to send/],
]
const calls = [...new Set([...rows.map(([, call]) => call), ...refusing.map(([call]) => call)])]

/** The class, its world and the method of `SMBus.readUint8`. */
function opened(call: string, { options, before }: More = {}) {
  const [name, method = ''] = call.split('.') as [Name, string?]
  const world = moduleWorld(places[name])
  const instance = world.open(name, options)
  before?.(world)
  return { ...world, instance, invoke: (...args: readonly unknown[]) => instance[method]?.(...args) }
}

describe('methods of the IO classes (clause 10)', () => {
  const given = rows.map(([clause, call, args, answers, more = {}]) => ({
    clause,
    call,
    args,
    answers,
    more,
  }))
  it.each(given)('$clause: $call with $args', ({ call, args, answers, more }) => {
    const { invoke, wire } = opened(call, more)
    expect(invoke(...args)).toEqual(answers)
    if (more.wire) expect(wire).toEqual(more.wire)
    for (const [wrong, kind] of more.wrong ?? []) expect(() => invoke(...wrong)).toThrow(kind)
  })

  it.each(refusing)('%s throws: it is an input, or not there', (call, message) => {
    expect(() => opened(call).invoke({})).toThrow(message)
  })

  it.each(calls)('%s throws once the instance is closed, whatever it is given (clause 8, close)', (call) => {
    const { instance, invoke } = opened(call)
    instance['close']?.()
    instance['close']?.()
    expect(() => invoke()).toThrow(expect.objectContaining({ code: 'closed' }))
  })

  it('there is no method that the table leaves out', () => {
    for (const name of Object.keys(places) as Name[]) {
      const { prototype } = moduleWorld(places[name]).classes[name] as { prototype: object }
      for (const [method, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
        if (typeof value === 'function' && method !== 'constructor')
          expect(calls).toContain(`${name}.${method}`)
    }
  })

  it('I²C: a write without stop goes out with the read after it', () => {
    const { instance, wire } = opened('I2C.read', has(0, 0, 5))
    instance['write']?.(buffer(2), false)
    expect(wire).toEqual([])
    expect(instance['read']?.(1)).toEqual(buffer(5))
    expect(wire).toEqual([[2]])
  })

  it('SMBus: with the option `stop` the register’s number is a transaction of its own', () => {
    const transactions = (options: Record<string, unknown>) => {
      const { invoke, i2cCalls } = opened('SMBus.readUint8', { options })
      invoke(1)
      return i2cCalls
    }
    expect(transactions({})).toEqual(['writeRead'])
    expect(transactions({ stop: true })).toEqual(['write', 'read'])
  })

  it('I²C: `hz` reaches the bus', () => {
    const { open, asked } = moduleWorld(i2cAt)
    open('SMBus', { hz: 100_000 })
    expect(asked).toEqual([{ bus: 'i2c-1', address: 0x48, hz: 100_000 }])
    expect(() => open('I2C', { hz: 0 })).toThrow(RangeError)
    expect(() => open('I2C', { hz: '400k' })).toThrow(TypeError)
    expect(asked.length).toBe(1)
  })

  it('Serial: flush empties the input, or leaves it', () => {
    const { instance, send } = opened('Serial.flush')
    send([1])
    instance['flush']?.(false, true)
    expect(instance['read']?.()).toEqual(buffer(1))
    send([2])
    instance['flush']?.()
    expect(instance['read']?.()).toBeUndefined()
  })

  it('Analog input: resolution is what the hardware has', () => {
    expect(moduleWorld(pinsAt).open('Analog', { resolution: 8 })['resolution']).toBe(12)
  })

  it('Pulse count: one phase counts up, two count both ways', () => {
    const up = opened('PulseCount.read', { options: { control: undefined } })
    for (const level of [1, 0, 1] as const) up.drive(11, level)
    expect(up.invoke()).toBe(2)
    const both = opened('PulseCount.read')
    both.drive(11, 1)
    both.drive(13, 1)
    const forward = both.invoke()
    both.drive(13, 0)
    both.drive(11, 0)
    expect([forward, both.invoke()]).toEqual([2, 0])
    both.instance['write']?.(-3)
    expect(both.invoke()).toBe(-3)
  })
})
