/**
 * The 40-pin header of Jetson Orin NX and Orin Nano, which share carrier and module pins. Sources: tegra.ts; pins 3 and 5 are
 * `gen8_i2c` (c250000) in NVIDIA's tegra234-p3767-0000-common-hdr40.dtsi.
 */
import type { BoardBus, BoardPwm, Header, PowerTelemetry, ThermalZone } from '../../hal/contract/board.ts'
import { i2c, jetsonIo, spi, tegra194BusPins, tegraHeader, uart } from './tegra.ts'

export const orinHeader: Header = tegraHeader('40-pin', 'tegra234-gpio', [
  ...tegra194BusPins('i2c-7', 'i2c-1'),
  { pin: 7, line: 'PAC.06', name: 'GPIO09' },
  { pin: 11, line: 'PR.04', name: 'UART1_RTS' },
  { pin: 12, line: 'PH.07', name: 'I2S0_SCLK' },
  { pin: 13, line: 'PY.00', name: 'SPI1_SCK' },
  { pin: 15, line: 'PN.01', name: 'GPIO12', functions: ['PWM1'] },
  { pin: 16, line: 'PY.04', name: 'SPI1_CS1' },
  { pin: 18, line: 'PY.03', name: 'SPI1_CS0' },
  { pin: 19, line: 'PZ.05', name: 'SPI0_MOSI' },
  { pin: 21, line: 'PZ.04', name: 'SPI0_MISO' },
  { pin: 22, line: 'PY.01', name: 'SPI1_MISO' },
  { pin: 23, line: 'PZ.03', name: 'SPI0_SCK' },
  { pin: 24, line: 'PZ.06', name: 'SPI0_CS0' },
  { pin: 26, line: 'PZ.07', name: 'SPI0_CS1' },
  { pin: 29, line: 'PQ.05', name: 'GPIO01' },
  { pin: 31, line: 'PQ.06', name: 'GPIO11' },
  { pin: 32, line: 'PG.06', name: 'GPIO07', functions: ['PWM7'] },
  { pin: 33, line: 'PH.00', name: 'GPIO13', functions: ['PWM5'] },
  { pin: 35, line: 'PI.02', name: 'I2S0_FS' },
  { pin: 36, line: 'PR.05', name: 'UART1_CTS' },
  { pin: 37, line: 'PY.02', name: 'SPI1_MOSI' },
  { pin: 38, line: 'PI.01', name: 'I2S0_SDIN' },
  { pin: 40, line: 'PI.00', name: 'I2S0_SDOUT' },
])

export const orinBuses: readonly BoardBus[] = [
  i2c('i2c-7', 'c250000', [3, 5]),
  i2c('i2c-1', 'c240000', [27, 28]),
  ...spi(0, '3210000', [19, 21, 23, 24, 26]),
  ...spi(1, '3230000', [37, 22, 13, 18, 16]),
  uart('3100000'),
]

export const orinPwm: readonly BoardPwm[] = [
  { pin: 15, device: '3280000.pwm', channel: 0, enable: jetsonIo },
  { pin: 32, device: '32e0000.pwm', channel: 0, enable: jetsonIo },
  { pin: 33, device: '32c0000.pwm', channel: 0, enable: jetsonIo },
]

/**
 * The first tegra234-p3767.dtsi of linux/arch/arm64/boot/dts/nvidia: passive from 95 °C, critical at 104.5 °C. Later ones state
 * only the fan's steps, 35, 74 and 95 °C, in `tj-thermal`.
 */
export const orinThermal: readonly ThermalZone[] = [{ type: 'cpu-thermal', warnC: 95, criticalC: 104.5 }]

/**
 * On an Orin Nano with NVIDIA's kernel, at 0x40 of c240000: pins 27 and 28 have a part at 0x40 already. The upstream tree names
 * none. On Orin NX it is taken to be the same: unverified.
 */
export const orinPower: readonly PowerTelemetry[] = [{ kind: 'rail', name: 'module', hwmon: 'ina3221' }]

/** `compatible` of the upstream tree and the names that NVIDIA's kernels give the device. */
export const orinGpuSigns = ['nvidia,ga10b', '17000000.gpu', '17000000.ga10b']
export const orinDlaSigns = ['nvidia,tegra234-nvdla']
