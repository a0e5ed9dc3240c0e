/**
 * The driver `ecma-419`: a sensor module that a person wrote, or has, for ECMA-419. What it measures is learned from its
 * first sample, unless the option `channels` says it. It is opened in a thread of its own (`load-module.ts`).
 */
import { type ChannelName, channels } from '../contract/channels.ts'
import type { SensorDriver } from '../contract/driver.ts'

export const moduleDriverId = 'ecma-419'

export const moduleDriver: SensorDriver = {
  id: moduleDriverId,
  role: 'sensor',
  name: 'Sensor module written for ECMA-419, from disk',
  manufacturer: '',
  model: 'ECMA-419 module',
  datasheet: "ECMA-419, clauses 8 to 10, 12 and 13; the part is the module's business",
  connection: {
    bus: 'pins',
    pins: { pin: { use: 'input', help: 'for a part on a pin; others name their bus', optional: true } },
  },
  options: {
    io: {
      type: 'choice',
      choices: ['Digital', 'Analog', 'PulseCount'],
      default: 'Digital',
      help: 'what the module gets as sensor.io for its pin; on a bus, the bus decides',
    },
    emulates: {
      type: 'text',
      default: '',
      help: 'id of the driver whose part answers on the simulated board; nothing answers otherwise',
    },
    channels: {
      type: 'text',
      default: '',
      help: 'what it measures, such as "temperature humidity"; learned from its first sample otherwise',
    },
  },
  channels: (options) =>
    String(options['channels'] ?? '')
      .split(/[\s,]+/)
      .filter((name): name is ChannelName => Object.hasOwn(channels, name)),
  sampleEveryMs: { min: 10, default: 5_000 },
  sampleMsMax: 2_000,
  open({ id }) {
    return Promise.reject(new Error(`${id}: a module is opened by the driver that loadModule gives`))
  },
}
