/** A hardware configuration against drivers and board: each mistake is one line that names its place. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { genericX64 } from '../../../../boards/generic-x64.board.ts'
import { raspberryPi5 } from '../../../../boards/raspberrypi-5.board.ts'
import { checkHardware } from '../../../../hal/attached/check.ts'
import type { HardwareConfig, PartConfig, SafetyConfig } from '../../../../hal/contract/hardware-config.ts'
import { parts as known } from '../../../../hal/drivers/index.ts'

const drivers = known.map(({ driver }) => driver)

function problems(parts: readonly PartConfig[], safety?: SafetyConfig, board = raspberryPi5) {
  const checked = checkHardware({ parts, ...(safety ? { safety } : {}) }, board, drivers)
  return checked.ok ? [] : checked.problems
}

const relay = (id: string, pin: number | string): PartConfig => ({ driver: 'relay', id, pin })
const thermometer = (id: string, address: number): PartConfig => ({
  driver: 'tmp102',
  id,
  bus: 'i2c-1',
  address,
})
const expander = (id: string, address = 0x20): PartConfig => ({
  driver: 'mcp23017',
  id,
  bus: 'i2c-1',
  address,
})

describe('a configuration without mistakes becomes a plan [attached-1]', () => {
  it('with options filled in, names made from ids, and the driver’s pace', () => {
    const checked = checkHardware(
      {
        parts: [
          { driver: 'bme280', id: 'wine_cellar', bus: 'i2c-1', address: 0x76 },
          relay('boiler', 'GPIO17'),
        ],
      },
      raspberryPi5,
      drivers,
    )
    expect(checked).toMatchObject({
      ok: true,
      plan: {
        parts: [
          { id: 'wine_cellar', name: 'Wine cellar', role: 'sensor', at: { bus: 'i2c-1', address: 0x76 } },
          {
            id: 'boiler',
            role: 'actuator',
            at: { pins: { signal: 'GPIO17' } },
            options: { activeLow: false },
          },
        ],
      },
    })
    if (checked.ok) expect(checked.plan.parts[0]?.sampleEveryMs).toBeGreaterThan(0)
  })

  it('on a board without a known header, lines go by the kernel’s names', () => {
    expect(problems([relay('boiler', 'gpio-ich/GPIO17')], undefined, genericX64)).toEqual([])
    expect(problems([relay('boiler', 11)], undefined, genericX64)).toEqual([
      'hardware.parts[0] (boiler): Generic x86-64 machine has no known header: write <chip>/<line name> or <chip>#<offset>, not 11',
    ])
  })

  it('on such a board a line has its chip, so that it cannot be named in two ways unseen [attached-2]', () => {
    const both = (one: string, other: string) =>
      problems([relay('boiler', one), relay('porch', other)], undefined, genericX64)
    const porch = 'hardware.parts[1] (porch):'
    for (const bare of ['GPIO17', '17', 'gpio-ich/', 'gpio-ich#x', 'gpio-ich#0x11', '/GPIO17'])
      expect(both('gpio-ich/GPIO17', bare)).toEqual([
        `${porch} Generic x86-64 machine has no known header: "${bare}" names no line; write <chip>/<line name> or <chip>#<offset>`,
      ])
    expect(both('gpio-ich/GPIO17', 'gpio-ich/GPIO17')).toEqual([
      `${porch} line gpio-ich/GPIO17 is already used by hardware.parts[0] (boiler)`,
    ])
    expect(both('gpio-ich#17', 'gpio-ich#017')).toEqual([
      `${porch} line gpio-ich#17 is already used by hardware.parts[0] (boiler)`,
    ])
    expect(both('gpio-ich#17', 'other#17')).toEqual([])
  })
})

describe('drivers, ids and options', () => {
  it('an unknown driver gives the nearest names', () => {
    expect(problems([{ driver: 'bme208', id: 'a', bus: 'i2c-1', address: 0x76 }])).toEqual([
      expect.stringMatching(
        /^hardware\.parts\[0\] \(a\): there is no driver "bme208"; did you mean .*bme280/,
      ),
    ])
    expect(problems([{ driver: 'zzzzzzzzzzzz', id: 'a' }])).toEqual([
      'hardware.parts[0] (a): there is no driver "zzzzzzzzzzzz"; "ganglion drivers" lists them',
    ])
  })

  it('an id twice names both places; an id with other characters is refused', () => {
    expect(problems([relay('a', 11), relay('a', 13)])).toEqual([
      'hardware.parts[1] (a): the id "a" is already used by hardware.parts[0] (a)',
    ])
    expect(problems([relay('porch-lamp', 11)])).toEqual([
      'hardware.parts[0] (porch-lamp): "porch-lamp" is no id: lower-case letters, digits and "_", at most 48',
    ])
  })

  it('an unknown option, and one out of its range, are said by name', () => {
    const [unknown, wrong] = problems([
      { ...relay('a', 11), options: { activelow: true } },
      { ...relay('b', 13), options: { activeLow: 'yes' } },
    ])
    expect(unknown).toMatch(
      /^hardware\.parts\[0\] \(a\): options\.activelow: no such option; there are .*activeLow/,
    )
    expect(wrong).toBe('hardware.parts[1] (b): options.activeLow: must be true or false, is "yes"')
  })

  it('what is for actuators alone, or sensors alone, is refused elsewhere', () => {
    expect(problems([{ ...thermometer('a', 0x48), exclusive: true }])).toEqual([
      'hardware.parts[0] (a): exclusive and keepWithoutNetwork are for actuators',
    ])
    expect(problems([{ ...relay('b', 11), sampleEveryMs: 1000 }])).toEqual([
      'hardware.parts[0] (b): only sensors have sampleEveryMs',
    ])
  })
})

describe('pins', () => {
  it('the same pin twice is refused, naming both places, however it is written [attached-2]', () => {
    const porch = 'hardware.parts[1] (porch): pin 11 is already used by hardware.parts[0] (boiler)'
    expect(problems([relay('boiler', 11), relay('porch', 11)])).toEqual([porch])
    expect(problems([relay('boiler', 'GPIO17'), relay('porch', 11)])).toEqual([porch])
  })

  it('power, ground and reserved pins are refused with what they are', () => {
    expect(problems([relay('a', 1), relay('b', 6), relay('c', 27)])).toEqual([
      'hardware.parts[0] (a): pin 1 is 3V3, 3.3 V power, not a GPIO',
      'hardware.parts[1] (b): pin 6 is ground, not a GPIO',
      expect.stringMatching(/^hardware\.parts\[2\] \(c\): pin 27 \(\S+\) is reserved: /),
    ])
  })

  it('a pin that is not there is refused', () => {
    expect(problems([relay('a', 41), relay('b', 'GPIO170')])).toEqual([
      'hardware.parts[0] (a): Raspberry Pi 5 has no pin 41: its header goes to 40',
      expect.stringMatching(
        /^hardware\.parts\[1\] \(b\): Raspberry Pi 5 has no pin "GPIO170"; did you mean GPIO17/,
      ),
    ])
  })

  it('a missing pin says what it is for; a foreign one which there are', () => {
    expect(problems([{ driver: 'relay', id: 'a' }])).toEqual([
      'hardware.parts[0] (a): the pin signal is missing: input of the relay module',
    ])
    expect(problems([{ driver: 'relay', id: 'a', pins: { signal: 11, out: 13 } }])).toEqual([
      'hardware.parts[0] (a): there is no pin called "out"; "pins" names signal',
    ])
  })

  it('a pin without PWM is refused with those that have it', () => {
    expect(problems([{ driver: 'servo', id: 'a', pin: 11 }])).toEqual([
      'hardware.parts[0] (a): pin 11 (GPIO17) has no PWM; those that have: 12, 32, 33, 35',
    ])
  })

  it('the pins of a bus in use are taken, whichever part comes first', () => {
    expect(problems([relay('a', 3), thermometer('b', 0x48)])).toEqual([
      'hardware.parts[0] (a): pin 3 is already used by bus i2c-1 of hardware.parts[1] (b)',
    ])
  })

  it('emergency stop, conflict monitor and inputs take their pins as parts do', () => {
    const safety: SafetyConfig = {
      emergencyStop: { pin: 11 },
      inputs: [
        { name: 'float', pin: 13 },
        { name: 'float', pin: 15 },
      ],
    }
    expect(problems([relay('a', 11), relay('b', 13)], safety)).toEqual([
      'hardware.safety.inputs[0] (float): pin 13 is already used by hardware.parts[1] (b)',
      'hardware.safety.inputs[1] (float): the name "float" is already used by hardware.safety.inputs[0] (float)',
      'hardware.safety.emergencyStop: pin 11 is already used by hardware.parts[0] (a)',
    ])
  })

  it('a provider’s pin is one of its own, and nobody else’s', () => {
    expect(problems([expander('porch'), relay('a', 'porch:3'), relay('b', 'porch:3')])).toEqual([
      'hardware.parts[2] (b): pin porch:3 is already used by hardware.parts[1] (a)',
    ])
    expect(problems([expander('porch'), relay('a', 'porch:16'), relay('b', 'attic:1')])).toEqual([
      'hardware.parts[1] (a): porch:16: mcp23017 has the pins 0 to 15',
      'hardware.parts[2] (b): pin attic:1: no part is called "attic"',
    ])
    expect(problems([relay('a', 11), relay('b', 'a:1')])).toEqual([
      'hardware.parts[1] (b): pin a:1: a gives no pins to others',
    ])
  })

  it('a provider that hangs on itself is refused', () => {
    const parts: PartConfig[] = [
      { driver: 'loop', id: 'a', pin: 'b:1' },
      { driver: 'loop', id: 'b', pin: 'a:1' },
    ]
    const loop = {
      ...drivers.find(({ id }) => id === 'mcp23017'),
      id: 'loop',
      connection: { bus: 'pins', pins: { reset: { use: 'output', help: 'reset' } } },
    } as (typeof drivers)[number]
    const checked = checkHardware({ parts }, raspberryPi5, [...drivers, loop])
    expect(checked).toEqual({
      ok: false,
      problems: ['hardware.parts[0] (a): its pins hang on itself: a → b → a'],
    })
  })
})

describe('buses and addresses', () => {
  it('two parts at one address are refused, naming both', () => {
    expect(problems([thermometer('a', 0x48), thermometer('b', 0x48), thermometer('c', 0x49)])).toEqual([
      'hardware.parts[1] (b): address 0x48 on i2c-1 is already used by hardware.parts[0] (a)',
    ])
  })

  it('an address that the part cannot have is refused with those it can', () => {
    expect(problems([thermometer('a', 0x50)])).toEqual([
      'hardware.parts[0] (a): tmp102 has the addresses 0x48, 0x49, 0x4a, 0x4b, not 0x50',
    ])
    expect(problems([{ driver: 'tmp102', id: 'a', bus: 'i2c-1' }])).toEqual([
      'hardware.parts[0] (a): needs its address: one of 0x48, 0x49, 0x4a, 0x4b',
    ])
    expect(problems([{ driver: 'ds18b20', id: 'a', bus: 'w1-0', address: 5 }])[0]).toMatch(
      /needs its address on the bus, as the kernel prints it: 28-/,
    )
  })

  it('a bus that the board has not is refused with those it has', () => {
    expect(problems([{ ...thermometer('a', 0x48), bus: 'i2c-9' }])[0]).toMatch(
      /^hardware\.parts\[0\] \(a\): there is no i2c bus "i2c-9"; Raspberry Pi 5 has i2c-1/,
    )
  })

  it('on a board that nobody described, buses go by the kernel’s names', () => {
    const on = (bus: string | undefined) =>
      problems([{ ...thermometer('a', 0x48), ...(bus === undefined ? {} : { bus }) }], undefined, genericX64)
    expect(on('i2c-7')).toEqual([])
    for (const bus of ['spi-0.0', '/dev/i2c-1', 'i2c', 'i2c-1/../..'])
      expect(on(bus)).toEqual([
        `hardware.parts[0] (a): "${bus}" is no i2c bus: Generic x86-64 machine has no known header; name the bus as the kernel does: i2c-1`,
      ])
  })

  it('a serial port may be a device node on any board; an I2C bus that a described board has not is refused', () => {
    const gnss = (bus: string): PartConfig => ({ driver: 'gnss', id: 'g', bus })
    expect(problems([gnss('/dev/ttyUSB0')])).toEqual([])
    expect(problems([gnss('/dev/serial/by-id/usb-u-blox_7-if00')], undefined, genericX64)).toEqual([])
    expect(problems([gnss('/dev/../etc/passwd')])).toHaveLength(1)
    expect(problems([gnss('/dev/ttyUSB0'), { ...gnss('/dev/ttyUSB0'), id: 'h' }])).toEqual([
      'hardware.parts[1] (h): /dev/ttyUSB0 is already used by hardware.parts[0] (g)',
    ])
  })

  it('an LED of the board is an output, lines by chip are pins where no header is known', () => {
    const contact = (pin: string): PartConfig => ({ driver: 'digital-input', id: 'door', pin })
    expect(problems([relay('lamp', 'led:ACT')])).toEqual([])
    expect(problems([relay('lamp', 'led:input3::capslock')], undefined, genericX64)).toEqual([])
    expect(problems([contact('led:ACT')])).toEqual([
      'hardware.parts[0] (door): led:ACT is an LED: it shows something, and can be no input',
    ])
    expect(problems([relay('a', 'led:0'), relay('b', 'led:0')])).toEqual([
      'hardware.parts[1] (b): led:0 is already used by hardware.parts[0] (a)',
    ])
    expect(problems([relay('lamp', 'led:')])).toHaveLength(1)
    for (const pin of ['INT34C5:00#12', 'gpio-ich/DOOR', 'mcp2221_gpio#0'])
      expect(problems([contact(pin)], undefined, genericX64), pin).toEqual([])
    expect(problems([expander('led')])).toHaveLength(1)
    expect(problems([{ ...relay('a', 11), bus: 'i2c-1' }])).toEqual([
      'hardware.parts[0] (a): relay hangs on pins, not on a bus',
    ])
  })

  it('a serial port has one part', () => {
    const gnss = (id: string): PartConfig => ({ driver: 'gnss', id, bus: 'uart-0' })
    expect(problems([gnss('a'), gnss('b')])).toEqual([
      'hardware.parts[1] (b): uart-0 is already used by hardware.parts[0] (a)',
    ])
  })
})

describe('rules and modules', () => {
  it('a rule about an output that there is not is refused', () => {
    const safety: SafetyConfig = {
      constraints: [
        { rule: 'mutex', outputs: ['a.on', 'a.off'] },
        { rule: 'dependency', output: 'a.on', needs: 'float', min: 1, max: 1 },
        {
          rule: 'sequence',
          outputs: ['a.on'],
          states: { off: { 'a.on': 0 }, on: {} },
          steps: [{ from: 'off', to: 'up', afterMs: 1 }],
        },
      ],
    }
    expect(problems([relay('a', 11)], safety)).toEqual([
      'hardware.safety.constraints[0] (mutex): there is no output "a.off"; did you mean a.on?',
      'hardware.safety.constraints[1] (dependency): there is no output or input "float"',
      'hardware.safety.constraints[2] (sequence): there is no state "up"',
      'hardware.safety.constraints[2] (sequence): state on does not say what a.on is',
    ])
  })

  it('an output is in one sequence: that of its driver, or of one rule', () => {
    const head: PartConfig = { driver: 'traffic-head', id: 'n', pins: { red: 11, yellow: 13, green: 15 } }
    const steps = (output: string): NonNullable<SafetyConfig['constraints']>[number] => ({
      rule: 'sequence',
      outputs: [output],
      states: { off: { [output]: 0 }, on: { [output]: 1 } },
      steps: [{ from: 'on', to: 'off', afterMs: 1 }],
    })
    const safety = { constraints: [steps('n.green'), steps('a.on'), steps('a.on')] }
    expect(problems([head, relay('a', 16)], safety)).toEqual([
      'hardware.safety.constraints[0] (sequence): "n.green" is in another sequence already: that of the driver traffic-head of hardware.parts[0] (n)',
      'hardware.safety.constraints[2] (sequence): "a.on" is in another sequence already: that of hardware.safety.constraints[1] (sequence)',
    ])
  })

  it('outputs of a clearance are looked up, whatever group they are in', () => {
    const groups = [['a.on'], ['b.on', 'c.on']]
    const safety: SafetyConfig = { constraints: [{ rule: 'clearance', groups, afterMs: 2_000 }] }
    expect(problems([relay('a', 11), relay('b', 13)], safety)).toEqual([
      'hardware.safety.constraints[0] (clearance): there is no output "c.on"; did you mean a.on, b.on?',
    ])
  })

  it('a module has its own driver id, an absolute path, a bus of the board and an address', () => {
    const module = (more: Partial<PartConfig>): PartConfig => ({ driver: 'ecma-419', id: 'm', ...more })
    const complete = { module: '/opt/tmp.js', bus: 'i2c-1', address: 0x48, options: { extendedRange: true } }
    expect(problems([module(complete)])).toEqual([])
    expect(problems([module({})])).toEqual([
      'hardware.parts[0] (m): needs "module": the path of an ECMA-419 sensor module',
    ])
    expect(problems([module({ module: '/opt/tmp.js', bus: 'i2c-1' })])).toEqual([
      'hardware.parts[0] (m): needs the address of its part: a module reaches no other',
    ])
    expect(problems([{ ...relay('a', 11), module: '/opt/tmp.js' }])).toEqual([
      'hardware.parts[0] (a): "module" goes with the driver "ecma-419"',
    ])
  })
})

describe('whatever is written', () => {
  const pin = fc.oneof(fc.integer({ min: -2, max: 45 }), fc.constantFrom('GPIO4', 'x:1', 'p3:2', '', ':'))
  const part: fc.Arbitrary<PartConfig> = fc.record(
    {
      driver: fc.constantFrom(...drivers.map(({ id }) => id), 'ecma-419', 'nonsense'),
      id: fc.constantFrom('a', 'b', 'p3', 'Bad', ''),
      bus: fc.constantFrom('i2c-1', 'spi-0.0', 'uart-0', 'w1-0', 'none'),
      address: fc.oneof(fc.integer({ min: 0, max: 130 }), fc.constant('28-0000075a1b2c')),
      pin,
      pins: fc.dictionary(fc.constantFrom('signal', 'a', 'red', 'echo', 'trigger', '__proto__'), pin),
      options: fc.dictionary(fc.string(), fc.oneof(fc.integer(), fc.string(), fc.boolean())),
      sampleEveryMs: fc.oneof(fc.integer(), fc.constant(Number.NaN)),
      module: fc.constantFrom('/x.js', 'x.js'),
    },
    { requiredKeys: ['driver', 'id'] },
  )

  it('it is a plan, or lines that each name a place; never an exception [attached-1]', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const config: HardwareConfig = { parts }
        const checked = checkHardware(config, raspberryPi5, drivers)
        if (checked.ok) return
        expect(checked.problems.length).toBeGreaterThan(0)
        for (const line of checked.problems) expect(line).toMatch(/^hardware\.(parts|safety)[^\n]*: [^\n]+$/)
      }),
      { numRuns: 500 },
    )
  })

  it('no line has two users in a plan [attached-2]', () => {
    const pins = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(pins, (numbers) => {
        const checked = checkHardware(
          { parts: numbers.map((number, index) => relay(`r${index}`, number)) },
          raspberryPi5,
          drivers,
        )
        if (checked.ok) expect(new Set(numbers).size).toBe(numbers.length)
      }),
    )
  })
})
