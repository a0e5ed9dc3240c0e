/**
 * Which GPIO number is on which pin of a Raspberry Pi's 40-pin header, the same since the B+. The chips count their lines by
 * GPIO number, so it is also the line's offset, in every kernel. Source: Raspberry Pi, "GPIO and the 40-pin header", and
 * https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm64/boot/dts/broadcom/bcm2712-rpi-5-b.dts (&rp1_gpio).
 */
import type { BoardAccelerator, Header, PowerTelemetry, ThermalZone } from '../../hal/contract/board.ts'
import { fortyPinHeader } from './forty-pin.ts'

/** Pins of GPIO 0, 1, 2, …, 27. */
const pinOfGpio = [
  27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13,
]
/** The firmware reads it at every start. */
const hatEeprom = 'HAT EEPROM'

/**
 * @param lineNames names of the lines 0 to 27 in the device tree of Raspberry Pi's kernel
 * @param functions what each line can be besides GPIO, in the order of the lines
 */
export function raspberryPiHeader(
  chip: string,
  lineNames: readonly string[],
  functions: readonly (readonly string[])[],
): Header {
  return fortyPinHeader(
    'J8',
    pinOfGpio.map((pin, gpio) => ({
      pin,
      kind: 'gpio',
      name: `GPIO${gpio}`,
      chip,
      line: lineNames[gpio] ?? gpio,
      offset: gpio,
      functions: functions[gpio] ?? [],
      ...(gpio < 2 ? { reserved: hatEeprom } : {}),
    })),
  )
}

/** Names that the device trees give today: the two lines of the EEPROM, then GPIO numbers. */
export const numberedLines: readonly string[] = pinOfGpio.map((_, gpio) =>
  gpio === 0 ? 'ID_SDA' : gpio === 1 ? 'ID_SCL' : `GPIO${gpio}`,
)

/**
 * From 80 °C on the firmware slows the processor down, from 85 °C on the GPU too. Source: frequency-management.md in
 * https://github.com/raspberrypi/documentation (hardware/raspberrypi); name of the zone: bcm283x.dtsi, bcm2711.dtsi.
 */
export const raspberryPiThermal: readonly ThermalZone[] = [{ type: 'cpu-thermal', warnC: 80, criticalC: 85 }]

/** Name of the hwmon device: drivers/hwmon/raspberrypi-hwmon.c. */
export const underVoltage: PowerTelemetry = {
  kind: 'under-voltage',
  name: 'power supply',
  hwmon: 'rpi_volt',
}

/** The maker states no figure for these processors as inference engines. */
export const cpu = (name: string): BoardAccelerator => ({
  id: 'cpu',
  name,
  claim: 'none stated',
  shownBy: [],
  reachedBy: 'cpu',
})

/** `PM_WDOG_TIME_SET` is 20 bits of 1/65536 s: drivers/watchdog/bcm2835_wdt.c. */
export const bcm2835WatchdogSMax = 15

export const configTxt = (line: string) => `add ${line} to /boot/firmware/config.txt and restart`
export const i2cEnable =
  'add dtparam=i2c_arm=on to /boot/firmware/config.txt and i2c-dev to /etc/modules, and restart'
export const spiEnable = configTxt('dtparam=spi=on')
export const oneWireEnable = configTxt('dtoverlay=w1-gpio')
