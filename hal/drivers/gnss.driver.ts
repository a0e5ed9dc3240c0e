/**
 * A GNSS receiver that speaks NMEA 0183: position, altitude, speed, course and satellites from GGA, RMC and VTG, whatever
 * constellation the talker names.
 *
 * Source: see nmea.ts.
 */
import type { SensorDriver } from '../contract/driver.ts'
import { type GnssChannel, GnssParser, gnssRanges } from './gnss-parser.ts'
import { openStreamSensor } from './stream-sensor.ts'

export const gnss: SensorDriver = {
  role: 'sensor',
  id: 'gnss',
  name: 'GNSS receiver (NMEA 0183)',
  manufacturer: 'generic',
  model: 'NMEA 0183',
  datasheet: 'NMEA 0183 version 4.11, 5.3 and 6.3',
  connection: { bus: 'serial', baud: 9600 },
  options: {
    baud: {
      type: 'choice',
      choices: ['4800', '9600', '38400', '57600', '115200'],
      default: '9600',
      help: 'as the receiver is set; 4800 by the standard, 9600 or 38400 on most modules',
    },
  },
  channels: () => Object.keys(gnssRanges) as GnssChannel[],
  ranges: () => gnssRanges,
  checksummed: true,
  sampleEveryMs: { min: 1000, default: 5000 },
  sampleMsMax: 4000,
  open: (context, signal) =>
    openStreamSensor(
      context,
      {
        baud: Number(context.options['baud']),
        identification: { model: 'NMEA 0183', classification: 'position' },
        parser: new GnssParser(),
        // Slow receivers send once in two seconds; the first time is complete when the next begins.
        messageMsMax: 3500,
      },
      signal,
    ),
}
