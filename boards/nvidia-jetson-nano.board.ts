/**
 * NVIDIA Jetson Nano (Tegra210, 2 or 4 GB) on its developer kit's carrier. Budgets are chosen for the smaller. Tegra210 names no
 * lines: a line's offset is eight times its port plus its bit, in every kernel.
 */
import type { Board } from '../hal/contract/board.ts'
import { i2c, jetsonIo, nvidiaGpu, spi, tegraHeader, tegraWatchdogSMax, uart } from './families/tegra.ts'

const header = tegraHeader('J41', 'tegra-gpio', [
  { pin: 3, line: 75, name: 'I2C1_SDA', bus: 'i2c-1' },
  { pin: 5, line: 74, name: 'I2C1_SCL', bus: 'i2c-1' },
  { pin: 7, line: 216, name: 'GPIO9' },
  { pin: 8, line: 48, name: 'UART1_TXD', bus: 'uart-0' },
  { pin: 10, line: 49, name: 'UART1_RXD', bus: 'uart-0' },
  { pin: 11, line: 50, name: 'UART1_RTS' },
  { pin: 12, line: 79, name: 'I2S0_SCLK' },
  { pin: 13, line: 14, name: 'SPI1_SCK' },
  { pin: 15, line: 194, name: 'GPIO12' },
  { pin: 16, line: 232, name: 'SPI1_CS1' },
  { pin: 18, line: 15, name: 'SPI1_CS0' },
  { pin: 19, line: 16, name: 'SPI0_MOSI' },
  { pin: 21, line: 17, name: 'SPI0_MISO' },
  { pin: 22, line: 13, name: 'SPI1_MISO' },
  { pin: 23, line: 18, name: 'SPI0_SCK' },
  { pin: 24, line: 19, name: 'SPI0_CS0' },
  { pin: 26, line: 20, name: 'SPI0_CS1' },
  { pin: 27, line: 72, name: 'I2C0_SDA', bus: 'i2c-0' },
  { pin: 28, line: 73, name: 'I2C0_SCL', bus: 'i2c-0' },
  { pin: 29, line: 149, name: 'GPIO01' },
  { pin: 31, line: 200, name: 'GPIO11' },
  { pin: 32, line: 168, name: 'GPIO07', functions: ['PWM0'] },
  { pin: 33, line: 38, name: 'GPIO13', functions: ['PWM2'] },
  { pin: 35, line: 76, name: 'I2S0_FS' },
  { pin: 36, line: 51, name: 'UART1_CTS' },
  { pin: 37, line: 12, name: 'SPI1_MOSI' },
  { pin: 38, line: 77, name: 'I2S0_DIN' },
  { pin: 40, line: 78, name: 'I2S0_DOUT' },
])

export const jetsonNano: Board = {
  id: 'nvidia-jetson-nano',
  name: 'NVIDIA Jetson Nano',
  arch: 'arm64',
  compatible: ['nvidia,p3450-0000', 'nvidia,p3450-0002', 'nvidia,p3541-0000', 'nvidia,jetson-nano'],
  memoryBudgetMb: { runtime: 192, engine: 768 },
  headers: [header],
  buses: [
    i2c('i2c-1', '7000c400', [3, 5]),
    i2c('i2c-0', '7000c000', [27, 28]),
    ...spi(0, '7000d400', [19, 21, 23, 24, 26]),
    ...spi(1, '7000d600', [37, 22, 13, 18, 16]),
    uart('70006040'),
  ],
  pwm: [
    { pin: 32, device: '7000a000.pwm', channel: 0, enable: jetsonIo },
    { pin: 33, device: '7000a000.pwm', channel: 2, enable: jetsonIo },
  ],
  // The tree's own "hot" trip starts the fan at 70 °C.
  thermal: [{ type: 'cpu-thermal', warnC: 70, criticalC: 96.5 }],
  power: [],
  accelerators: [
    { id: 'cpu', name: 'CPU, 4 × Cortex-A57', claim: 'none stated', shownBy: [], reachedBy: 'cpu' },
    nvidiaGpu('Maxwell GPU', '512 GFLOPS (FP16)', ['nvidia,gm20b', '57000000.gpu']),
  ],
  watchdogSMax: tegraWatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/nvidia/tegra210-p3450-0000.dts',
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/nvidia/tegra210.dtsi (addresses of the buses)',
    'https://github.com/NVIDIA/jetson-gpio/blob/master/lib/python/Jetson/GPIO/gpio_pin_data.py',
    'Jetson Nano data sheet, DA-02184-001 (the claim)',
    'boards/families/tegra.ts',
  ],
}
