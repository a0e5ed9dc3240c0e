/**
 * DS18B20 on 1-Wire. A scratchpad counts only with its CRC and its fixed bits. 85 °C is also what the part holds before
 * it has converted anything: with byte 6 as at power-up (0Ch) that is no measurement. Byte 6 is 10h after a conversion to
 * exactly 85 °C; copies of the part that leave it at 0Ch lose that one value.
 *
 * Source: DS18B20, Maxim 19-7487 revision 6: figure 4 and table 1 (temperature register), figure 9 (scratchpad), table 2
 * (resolution), "CRC generation". Byte 6: revision 042208, figure 7 ("reserved (0Ch)"); the same rule:
 * linux/drivers/w1/slaves/w1_therm.c, W1_THERM_CHECK_RESULT.
 */
import type { SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import { crc8, dallasCrc } from './crc.ts'
import { openSensor, plausible } from './sensor-device.ts'

const minC = -55
const maxC = 125
const powerOnRaw = 0x0550
const powerOnByte6 = 0x0c

/** Degrees Celsius of a scratchpad. Throws HalError `checksum`, `malformed`, or `timeout` for one that was never measured. */
export function temperatureOf(scratchpad: Uint8Array): number {
  if (scratchpad.length !== 9)
    throw new HalError('malformed', `the scratchpad has ${scratchpad.length} bytes, not 9`)
  if (crc8(scratchpad.subarray(0, 8), dallasCrc) !== scratchpad[8])
    throw new HalError('checksum', 'the CRC of the scratchpad is wrong')
  const [low = 0, high = 0, , , configuration = 0, , byte6] = scratchpad
  // Nine zeros have a good CRC; in the configuration register five bits are always one and one is always zero (figure 10).
  if ((configuration & 0x9f) !== 0x1f) throw new HalError('malformed', 'this is no scratchpad of a DS18B20')
  const raw = ((((high << 8) | low) << 16) >> 16) as number
  if (raw === powerOnRaw && byte6 === powerOnByte6)
    throw new HalError('timeout', 'it has not converted since it got its power (85 °C)')
  // Bits below the configured resolution are undefined (table 2).
  const undefinedBits = 3 - ((configuration >> 5) & 3)
  return ((raw >> undefinedBits) << undefinedBits) / 16
}

export const ds18b20: SensorDriver = {
  role: 'sensor',
  id: 'ds18b20',
  name: 'Maxim DS18B20 thermometer on 1-Wire',
  manufacturer: 'Analog Devices (Maxim)',
  model: 'DS18B20',
  datasheet: 'DS18B20, Maxim 19-7487 revision 6',
  connection: { bus: 'one-wire', families: [0x28] },
  options: {},
  channels: () => ['temperature'],
  ranges: () => ({ temperature: { min: minC, max: maxC, resolution: 1 / 32 } }),
  checksummed: true,
  sampleEveryMs: { min: 1000, default: 10_000 },
  sampleMsMax: 2000,
  async open(context, signal) {
    const { io, at } = context
    const address = String(at.address)
    const oneWire = io.oneWire({ bus: at.bus ?? '', address })
    const sensor = {
      identification: { model: 'DS18B20', classification: 'temperature', uniqueId: address },
      setUp: async () => {},
      async measure(aborted: AbortSignal) {
        return { temperature: plausible(temperatureOf(await oneWire.scratchpad(aborted)), minC, maxC) }
      },
    }
    return openSensor(context, oneWire, sensor, signal)
  },
}
