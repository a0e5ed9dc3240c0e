/**
 * A relay, or any load that one line turns on: a lamp, a fan, a valve, an outlet.
 *
 * Its output `on` is what the load does. At rest, without current in the coil, the load is off; with `normallyOn` it hangs
 * on the contact that is closed at rest and is on. Safe is always the state at rest: the one that a lost power supply
 * gives as well.
 *
 * Source: Songle SRD-05VDC-SL-C data sheet, "Contact arrangement" (form C: common, normally open, normally closed).
 */
import { CommandFields } from '../command-fields.ts'
import type { ActuatorKind } from '../contract/component.ts'
import type { ActuatorDriver } from '../contract/driver.ts'

/** The line follows at once; a bus of an expander that has trouble once or twice gets its time. */
const lineMsMax = 300

const kinds = ['switch', 'light', 'fan', 'valve'] as const satisfies readonly ActuatorKind[]

export const relay: ActuatorDriver = {
  role: 'actuator',
  id: 'relay',
  name: 'Relay or other load on one line',
  manufacturer: 'generic',
  model: 'relay',
  datasheet: 'Songle SRD-05VDC-SL-C relay data sheet, contact arrangement',
  connection: { bus: 'pins', pins: { signal: { use: 'output', help: 'input of the relay module' } } },
  options: {
    as: { type: 'choice', choices: kinds, default: 'switch', help: 'what the load is to the home' },
    activeLow: {
      type: 'boolean',
      default: false,
      help: 'a low level gives the coil current, as on most relay modules with opto-couplers',
    },
    normallyOn: {
      type: 'boolean',
      default: false,
      help: 'the load is on the normally closed contact: on at rest, and on is its safe state',
    },
  },
  kind: (options) => kinds.find((kind) => kind === options['as']) ?? 'switch',
  outputs: (options) => [
    {
      name: 'on',
      type: 'binary',
      safe: options['normallyOn'] === true ? 1 : 0,
      min: 0,
      max: 1,
      readBackMsMax: lineMsMax,
    },
  ],
  lines: (options, at) => ({
    on: {
      pin: at.pins['signal'] ?? '',
      activeLow: (options['activeLow'] === true) !== (options['normallyOn'] === true),
    },
  }),
  plan(command, options) {
    const fields = new CommandFields('relay', command, ['state'])
    const [on, off] = words(options['as'])
    return { on: fields.oneOf('state', [on, off]) === on ? 1 : 0 }
  },
  telemetry(values, options, readBack) {
    const [on, off] = words(options['as'])
    return { state: (readBack['on'] ?? values['on']) ? on : off, attributes: {} }
  },
}

/** What on and off are called. */
function words(as: unknown): readonly [string, string] {
  return as === 'valve' ? ['open', 'closed'] : ['on', 'off']
}
