/**
 * BeagleBoard.org BeaglePlay (TI AM625, 2 GB): a mikroBUS socket, and the connectors QWIIC and Grove, which are I2C alone. GPIO
 * chips are labelled with their address. Lines 7 and 8 are D0 and D1 of the SPI controller; the tree does not say which is MISO
 * and which MOSI, so both are left to the bus.
 */
import type { Board } from '../hal/contract/board.ts'

const chip = '601000.gpio'
const toSpi = 'always spi-2.0'

export const beaglePlay: Board = {
  id: 'beagle-beagleplay',
  name: 'BeagleBoard.org BeaglePlay',
  arch: 'arm64',
  compatible: ['beagle,am625-beagleplay'],
  memoryBudgetMb: { runtime: 192, engine: 768 },
  headers: [
    {
      name: 'mikroBUS',
      columns: 1,
      // The left column from the top, then the right one from the bottom, as mikroBUS counts: AN is 1, PWM is 16.
      pins: [
        { pin: 1, kind: 'gpio', name: 'AN', chip, line: 'MIKROBUS_GPIO1_10', offset: 10, functions: [] },
        { pin: 2, kind: 'gpio', name: 'RST', chip, line: 'MIKROBUS_GPIO1_12', offset: 12, functions: [] },
        {
          pin: 3,
          kind: 'gpio',
          name: 'CS',
          chip,
          line: 'MIKROBUS_W1_GPIO0',
          offset: 13,
          functions: ['SPI2 CS0', '1-Wire'],
        },
        {
          pin: 4,
          kind: 'gpio',
          name: 'SCK',
          chip,
          line: 'MIKROBUS_GPIO1_14',
          offset: 14,
          functions: ['SPI2 CLK'],
        },
        {
          pin: 5,
          kind: 'gpio',
          name: 'MISO',
          chip,
          line: 'MIKROBUS_GPIO1_8',
          functions: ['SPI2 MISO'],
          reserved: toSpi,
        },
        {
          pin: 6,
          kind: 'gpio',
          name: 'MOSI',
          chip,
          line: 'MIKROBUS_GPIO1_7',
          functions: ['SPI2 MOSI'],
          reserved: toSpi,
        },
        { pin: 7, kind: 'power', name: '3V3', volts: 3.3 },
        { pin: 8, kind: 'ground', name: 'GND' },
        { pin: 9, kind: 'ground', name: 'GND' },
        { pin: 10, kind: 'power', name: '5V', volts: 5 },
        {
          pin: 11,
          kind: 'gpio',
          name: 'SDA',
          chip,
          line: 'MIKROBUS_GPIO1_23',
          offset: 23,
          functions: ['I2C3 SDA'],
        },
        {
          pin: 12,
          kind: 'gpio',
          name: 'SCL',
          chip,
          line: 'MIKROBUS_GPIO1_22',
          offset: 22,
          functions: ['I2C3 SCL'],
        },
        {
          pin: 13,
          kind: 'gpio',
          name: 'TX',
          chip,
          line: 'MIKROBUS_GPIO1_25',
          offset: 25,
          functions: ['UART5 TX'],
        },
        {
          pin: 14,
          kind: 'gpio',
          name: 'RX',
          chip,
          line: 'MIKROBUS_GPIO1_24',
          offset: 24,
          functions: ['UART5 RX'],
        },
        { pin: 15, kind: 'gpio', name: 'INT', chip, line: 'MIKROBUS_GPIO1_9', offset: 9, functions: [] },
        {
          pin: 16,
          kind: 'gpio',
          name: 'PWM',
          chip,
          line: 'MIKROBUS_GPIO1_11',
          offset: 11,
          functions: ['ECAP2 (as PWM)'],
        },
      ],
    },
  ],
  buses: [
    { id: 'i2c-3', kind: 'i2c', device: '20030000.i2c', path: '/dev/i2c-3', pins: [12, 11] },
    { id: 'i2c-5', kind: 'i2c', device: '4900000.i2c', path: '/dev/i2c-5', pins: [] },
    { id: 'i2c-1', kind: 'i2c', device: '20010000.i2c', path: '/dev/i2c-1', pins: [] },
    { id: 'spi-2.0', kind: 'spi', device: '20120000.spi', pins: [6, 5, 4, 3] },
    { id: 'uart-0', kind: 'serial', device: '2850000.serial', path: '/dev/ttyS0', pins: [13, 14] },
  ],
  pwm: [],
  // The tree knows no limit below the one that switches off; the warning is ten degrees before it.
  thermal: [
    { type: 'main0-thermal', warnC: 95, criticalC: 105 },
    { type: 'main1-thermal', warnC: 95, criticalC: 105 },
  ],
  power: [],
  accelerators: [
    { id: 'cpu', name: 'CPU, 4 × Cortex-A53', claim: 'none stated', shownBy: [], reachedBy: 'cpu' },
  ],
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/ti/k3-am625-beagleplay.dts',
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/ti/k3-am62-main.dtsi (addresses)',
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/ti/k3-am62-thermal.dtsi',
    'https://github.com/adafruit/Adafruit_Blinka/blob/main/src/adafruit_blinka/microcontroller/ti/am625x/pin.py (chip labels)',
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/ti/k3-am62-mcu.dtsi (address of i2c-5)',
    'https://github.com/zephyrproject-rtos/zephyr/blob/main/dts/bindings/gpio/mikro-bus.yaml (order of the pins in the socket)',
  ],
}
