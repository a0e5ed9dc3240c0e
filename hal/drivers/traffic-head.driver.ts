/**
 * A traffic-signal head: red, yellow and green lamps on a lamp bank. The kernel moves it through the states below and no
 * others; which heads may be green together is said in the configuration of the crossing. The class `traffic-signal`
 * does not arm without an external conflict monitor.
 *
 * Safe is red, dark, or flashing. A head cannot flash by itself when everything has failed: `flash` hands over to a
 * flasher relay on its own line, on at its safe value, as cabinets have one.
 *
 * Source: Manual on Uniform Traffic Control Devices, 2009 edition with revisions 1 to 3, section 4D.26: a yellow change
 * interval of 3 to 6 s follows every green, a red clearance interval of up to 6 s may follow the yellow. Red with yellow
 * before green: Vienna Convention on Road Signs and Signals (1968), article 23, 1 (a) iii.
 */
import { CommandFields } from '../command-fields.ts'
import type { ActuatorDriver, At, Options } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Constraint, OutputSpec, OutputValues } from '../contract/safety.ts'

const lamps = ['red', 'yellow', 'green'] as const
/** A lamp's current settles within a few half-waves of the mains; half a second also spans a lamp changer. */
const lampMsMax = 500
/** The others' lines follow at once: a green that stays on beside somebody else's is found sooner than a dark red. */
const lineMsMax = 300

export const trafficHead: ActuatorDriver = {
  role: 'actuator',
  id: 'traffic-head',
  name: 'Traffic-signal head with red, yellow and green lamps',
  manufacturer: 'generic',
  model: 'traffic-head',
  datasheet: 'MUTCD 2009 revision 3, section 4D.26',
  safetyClass: 'traffic-signal',
  connection: {
    bus: 'pins',
    pins: {
      red: { use: 'output', help: 'switches the red lamp' },
      yellow: { use: 'output', help: 'switches the yellow lamp' },
      green: { use: 'output', help: 'switches the green lamp' },
      flasher: { use: 'output', help: 'flasher relay; needed with safe: flash', optional: true },
      redSense: { use: 'input', help: 'high while the red lamp draws current', optional: true },
    },
  },
  options: {
    safe: {
      type: 'choice',
      choices: ['red', 'dark', 'flash'],
      default: 'red',
      help: 'what it does when nobody commands it',
    },
    yellowS: { type: 'number', min: 3, max: 6, default: 3, unit: 's', help: 'yellow after green' },
    minRedS: { type: 'number', min: 1, max: 60, default: 2, unit: 's', help: 'shortest red' },
    minGreenS: { type: 'number', min: 1, max: 60, default: 5, unit: 's', help: 'shortest green' },
    redYellow: { type: 'boolean', default: false, help: 'red with yellow, one second, before green' },
    activeLow: { type: 'boolean', default: false, help: 'a low level lights a lamp' },
  },
  kind: () => 'select',
  choices: (options) => Object.keys(states(options)),
  outputs: (options) =>
    Object.entries(safeState(options)).map(
      ([name, safe]): OutputSpec => ({
        name,
        type: 'binary',
        safe,
        min: 0,
        max: 1,
        readBackMsMax: name === 'red' ? lampMsMax : lineMsMax,
      }),
    ),
  constraints: (options) => [
    {
      rule: 'permissive',
      outputs: lamps,
      together: options['redYellow'] === true ? [['red', 'yellow']] : [],
      because: 'a head shows one signal',
    },
    {
      rule: 'sequence',
      outputs: Object.keys(safeState(options)),
      states: states(options),
      steps: steps(options),
      because: 'green is followed by yellow, yellow by red',
    },
  ],
  lines: (options, at) =>
    Object.fromEntries(
      Object.keys(safeState(options)).map((name) => [
        name,
        { pin: pinOf(at, name === 'flash' ? 'flasher' : name), activeLow: options['activeLow'] === true },
      ]),
    ),
  plan(command, options) {
    const named = states(options)
    const option = new CommandFields('traffic-head', command, ['option']).oneOf('option', Object.keys(named))
    return named[option ?? ''] ?? safeState(options)
  },
  telemetry(values, options, readBack) {
    const shown = { ...values, ...readBack }
    const state = Object.entries(states(options)).find(([, lit]) =>
      Object.entries(lit).every(([name, value]) => shown[name] === value),
    )
    const lit = lamps.map((lamp) => [lamp, shown[lamp] === 1])
    return { state: state?.[0] ?? 'unknown', attributes: Object.fromEntries(lit) }
  },
  async open({ io, at }) {
    const pin = at.pins['redSense']
    const sense = pin === undefined ? undefined : io.digital({ pin, mode: 'input' })
    return {
      write: () => {},
      readBack: (): OutputValues => (sense ? { red: sense.read() } : {}),
      [Symbol.asyncDispose]: async () => sense?.close(),
    }
  },
}

function pinOf(at: At, name: string) {
  const pin = at.pins[name]
  if (pin === undefined) throw new HalError('not-present', `traffic-head: pins.${name}: no pin is given`)
  return pin
}

/** The whole vector with these lamps lit. */
function vector(options: Options, red: 0 | 1, yellow: 0 | 1, green: 0 | 1, flash: 0 | 1 = 0): OutputValues {
  return options['safe'] === 'flash' ? { red, yellow, green, flash } : { red, yellow, green }
}

function states(options: Options): Readonly<Record<string, OutputValues>> {
  const { safe } = options
  return {
    red: vector(options, 1, 0, 0),
    ...(options['redYellow'] === true ? { 'red-yellow': vector(options, 1, 1, 0) } : {}),
    green: vector(options, 0, 0, 1),
    yellow: vector(options, 0, 1, 0),
    ...(safe === 'dark' ? { dark: vector(options, 0, 0, 0) } : {}),
    ...(safe === 'flash' ? { flash: vector(options, 0, 0, 0, 1) } : {}),
  }
}

function safeState(options: Options): OutputValues {
  return states(options)[String(options['safe'])] ?? vector(options, 1, 0, 0)
}

type Steps = Extract<Constraint, { rule: 'sequence' }>['steps']

function steps(options: Options): Steps {
  const ms = (name: string) => Number(options[name]) * 1000
  const safe = String(options['safe'])
  const toGreen: Steps =
    options['redYellow'] === true
      ? [
          { from: 'red', to: 'red-yellow', afterMs: ms('minRedS') },
          { from: 'red-yellow', to: 'green', afterMs: 1000 },
          { from: 'red-yellow', to: 'yellow', afterMs: 1000 },
        ]
      : [{ from: 'red', to: 'green', afterMs: ms('minRedS') }]
  const toSafe: Steps =
    safe === 'red'
      ? []
      : [
          { from: safe, to: 'red', afterMs: 0 },
          { from: 'red', to: safe, afterMs: ms('minRedS') },
        ]
  return [
    ...toGreen,
    { from: 'green', to: 'yellow', afterMs: ms('minGreenS') },
    { from: 'yellow', to: 'red', afterMs: ms('yellowS') },
    ...toSafe,
  ]
}
