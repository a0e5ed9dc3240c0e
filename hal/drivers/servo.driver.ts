/**
 * A hobby servo: the length of a pulse, sent every 20 ms, says where its arm goes. It has no feedback; what telemetry shows
 * is where it was told to be. Commanded movement is ramped; parking, when nobody commands it any more, is as fast as the servo
 * is, and so is the first movement after start, since nobody knows where the arm is then. Where nothing may move by
 * itself, `safe: release` stops the pulses instead: the arm goes limp, and telemetry says `unknown`.
 *
 * Source: Tower Pro SG90 data sheet: period 20 ms (50 Hz), pulse 1 to 2 ms over the travel.
 */
import { CommandFields } from '../command-fields.ts'
import type { ActuatorDriver, Options } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import { ServoPort } from './servo-port.ts'

const hz = 50
/** The coarsest PWM in use has 12 bits: half a step of it, microseconds. */
const pulseErrorUs = 1e6 / hz / 4096 / 2

export const servo: ActuatorDriver = {
  role: 'actuator',
  id: 'servo',
  name: 'Hobby servo',
  manufacturer: 'generic',
  model: 'servo',
  datasheet: 'Tower Pro SG90 data sheet: 50 Hz, pulse 1 to 2 ms',
  connection: { bus: 'pins', pins: { signal: { use: 'pwm', help: 'signal wire (orange or white)' } } },
  options: {
    as: { type: 'choice', choices: ['number', 'cover'], default: 'number', help: 'an angle, or a cover' },
    travelDegrees: { type: 'number', min: 10, max: 360, default: 180, unit: '°', help: 'whole travel' },
    pulseMinUs: { type: 'number', min: 400, max: 1500, default: 1000, unit: 'µs', help: 'pulse at 0°' },
    pulseMaxUs: {
      type: 'number',
      min: 1501,
      max: 2600,
      default: 2000,
      unit: 'µs',
      help: 'pulse at the end of the travel',
    },
    reversed: { type: 'boolean', default: false, help: '0° is where the pulse is longest' },
    degreesPerS: { type: 'number', min: 1, max: 1000, default: 90, unit: '°/s', help: 'commanded speed' },
    safe: {
      type: 'choice',
      choices: ['release', 'park'],
      default: 'release',
      help: 'when nobody commands it: let go, or drive to parkDegrees at full speed (also at start)',
    },
    parkDegrees: { type: 'number', min: 0, max: 360, default: 0, unit: '°', help: 'where it parks' },
  },
  kind: (options) => (options['as'] === 'cover' ? 'cover' : 'number'),
  features: (options) => (options['as'] === 'cover' ? ['open', 'close', 'set_position', 'stop'] : []),
  range: (options) => ({ min: 0, max: travel(options), step: 1, unit: '°' }),
  outputs(options) {
    const park = Number(options['parkDegrees'])
    if (park > travel(options))
      throw new HalError('out-of-range', `servo: parkDegrees: ${park}° is beyond the travel`)
    const usPerDegree = (Number(options['pulseMaxUs']) - Number(options['pulseMinUs'])) / travel(options)
    const readBack = { readBackMsMax: 100, readBackTolerance: (1.1 * pulseErrorUs) / usPerDegree }
    const slewPerS = Number(options['degreesPerS'])
    return [
      {
        name: 'angle',
        type: 'number',
        safe: park,
        min: 0,
        max: travel(options),
        unit: '°',
        slewPerS,
        ...readBack,
      },
      {
        name: 'powered',
        type: 'binary',
        safe: options['safe'] === 'park' ? 1 : 0,
        min: 0,
        max: 1,
        readBackMsMax: 100,
      },
    ]
  },
  plan(command, options, now) {
    if (options['as'] !== 'cover') {
      const fields = new CommandFields('servo', command, ['value'])
      return { angle: fields.number('value', 0, travel(options), '°') ?? 0, powered: 1 }
    }
    const fields = new CommandFields('servo', command, ['state', 'position', 'action'])
    if (fields.oneOf('action', ['stop'])) return { angle: now['angle'] ?? 0 }
    const state = fields.oneOf('state', ['open', 'closed'])
    const position = fields.number('position', 0, 100, ' %') ?? (state === 'open' ? 100 : 0)
    return { angle: (position / 100) * travel(options), powered: 1 }
  },
  telemetry(values, options, readBack) {
    const angle = readBack['angle'] ?? values['angle'] ?? 0
    const powered = (readBack['powered'] ?? values['powered']) === 1
    if (options['as'] !== 'cover')
      return { state: powered ? String(rounded(angle)) : 'unknown', attributes: { powered } }
    const position = Math.round((angle / travel(options)) * 100)
    const state = (values['angle'] ?? 0) > 0 ? 'open' : 'closed'
    return powered
      ? { state, attributes: { current_position: position, powered } }
      : { state: 'unknown', attributes: { powered } }
  },
  async open({ io, at, options, host }) {
    return new ServoPort(io.pwm({ pin: at.pins['signal'] ?? '', hz }), host.clock, {
      travelDegrees: travel(options),
      pulseUs: [Number(options['pulseMinUs']), Number(options['pulseMaxUs'])],
      reversed: options['reversed'] === true,
      degreesPerS: Number(options['degreesPerS']),
    })
  },
}

function travel(options: Options): number {
  return Number(options['travelDegrees'])
}

/** Tenths of a degree are finer than any servo. */
function rounded(angle: number): number {
  return Math.round(angle * 10) / 10
}
