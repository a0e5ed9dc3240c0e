/**
 * PIR motion sensor with one output, high while it sees motion. It reports by itself on every change; what it shows while it
 * warms up is `implausible`.
 *
 * Source: HC-SR501 data sheet: output high (3.3 V) on motion; about a minute after power-on it may pulse up to three times.
 */
import type { SensorDriver } from '../contract/driver.ts'
import { type LineSensor, openLineSensor } from './line-sensor.ts'

export const pir: SensorDriver = {
  role: 'sensor',
  id: 'pir',
  name: 'PIR motion sensor',
  manufacturer: 'generic',
  model: 'HC-SR501',
  datasheet: 'HC-SR501 passive infrared module data sheet, electrical parameters',
  connection: { bus: 'pins', pins: { signal: { use: 'input', help: 'OUT' } } },
  options: {
    activeLow: { type: 'boolean', default: false, help: 'its output is low on motion' },
    warmUpS: {
      type: 'number',
      min: 0,
      max: 120,
      default: 60,
      unit: 's',
      help: 'time until it can be believed',
    },
    debounceMs: {
      type: 'number',
      min: 0,
      max: 1000,
      default: 0,
      unit: 'ms',
      help: 'shorter pulses are ignored',
    },
  },
  channels: () => ['motion'],
  ranges: () => ({ motion: { min: 0, max: 1, resolution: 0 } }),
  sampleEveryMs: { min: 100, default: 60_000 },
  sampleMsMax: 100,
  open(context, signal) {
    const { options, host } = context
    const warmMs = host.clock.monotonicMs() + Number(options['warmUpS']) * 1000
    const warm = () => host.clock.monotonicMs() >= warmMs
    const line: LineSensor = {
      channel: 'motion',
      model: 'PIR',
      mode: 'input',
      quality: () => (warm() ? 'ok' : 'implausible'),
      faults: () => (warm() ? [] : ['it warms up']),
    }
    return openLineSensor(context, line, signal)
  },
}
