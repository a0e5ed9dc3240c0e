/**
 * Anything with one line that is on or off: a door or window contact, a float switch, a motion detector's relay. What it
 * is to the home is its channel.
 *
 * Source: ECMA-419, 9.1 (Digital). A reed contact between pin and ground, with pull-up, is closed (0) while the door is.
 */
import type { ChannelName } from '../contract/channels.ts'
import type { Options, SensorDriver } from '../contract/driver.ts'
import type { DigitalMode } from '../contract/io.ts'
import { type LineSensor, openLineSensor } from './line-sensor.ts'

const modes: Readonly<Record<string, DigitalMode>> = {
  up: 'input-pull-up',
  down: 'input-pull-down',
  none: 'input',
}

const channelOf = (options: Options) => String(options['channel']) as ChannelName

export const digitalInput: SensorDriver = {
  role: 'sensor',
  id: 'digital-input',
  name: 'Contact, switch or other line that is on or off',
  manufacturer: 'generic',
  model: 'digital input',
  datasheet: 'ECMA-419 2nd edition, 9.1',
  connection: {
    bus: 'pins',
    pins: { signal: { use: 'input', help: 'the contact, its other end on ground' } },
  },
  options: {
    channel: {
      type: 'choice',
      choices: ['contact', 'level', 'motion'],
      default: 'contact',
      help: 'contact: on while a door is open; level: on while the line is; motion: on while something moves',
    },
    pull: {
      type: 'choice',
      choices: ['up', 'down', 'none'],
      default: 'up',
      help: 'where the line goes while nothing drives it; an MCP23017 has up and none',
    },
    activeLow: { type: 'boolean', default: false, help: 'on while the line is low' },
    debounceMs: {
      type: 'number',
      min: 0,
      max: 1000,
      default: 20,
      unit: 'ms',
      help: 'contacts bounce: shorter pulses are ignored',
    },
  },
  channels: (options) => [channelOf(options)],
  ranges: (options) => ({ [channelOf(options)]: { min: 0, max: 1, resolution: 0 } }),
  sampleEveryMs: { min: 100, default: 10_000 },
  sampleMsMax: 100,
  open(context, signal) {
    const line: LineSensor = {
      channel: channelOf(context.options),
      model: 'digital input',
      mode: modes[String(context.options['pull'])] ?? 'input',
      quality: () => 'ok',
      faults: () => [],
    }
    return openLineSensor(context, line, signal)
  },
}
