/**
 * NVIDIA Jetson Xavier NX (Tegra194, 8 or 16 GB) on its developer kit's carrier, or that of Jetson Nano. Pins 3 and 5 are pads
 * of the display's AUX channel, which the kernel's GPIO driver does not have.
 */
import type { Board } from '../hal/contract/board.ts'
import {
  i2c,
  jetsonIo,
  nvidiaDla,
  nvidiaGpu,
  spi,
  tegra194BusPins,
  tegraHeader,
  tegraWatchdogSMax,
  uart,
} from './families/tegra.ts'

const header = tegraHeader('40-pin', 'tegra194-gpio', [
  ...tegra194BusPins('i2c-8', 'i2c-1'),
  { pin: 7, line: 'PS.04', name: 'GPIO09' },
  { pin: 11, line: 'PR.04', name: 'UART1_RTS' },
  { pin: 12, line: 'PT.05', name: 'I2S0_SCLK' },
  { pin: 13, line: 'PY.00', name: 'SPI1_SCK' },
  { pin: 15, line: 'PCC.04', name: 'GPIO12', aon: true, functions: ['PWM4'] },
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
  { pin: 32, line: 'PR.00', name: 'GPIO07', functions: ['PWM8'] },
  { pin: 33, line: 'PN.01', name: 'GPIO13', functions: ['PWM1'] },
  { pin: 35, line: 'PU.00', name: 'I2S0_FS' },
  { pin: 36, line: 'PR.05', name: 'UART1_CTS' },
  { pin: 37, line: 'PY.02', name: 'SPI1_MOSI' },
  { pin: 38, line: 'PT.07', name: 'I2S0_DIN' },
  { pin: 40, line: 'PT.06', name: 'I2S0_DOUT' },
])

export const jetsonXavierNx: Board = {
  id: 'nvidia-jetson-xavier-nx',
  name: 'NVIDIA Jetson Xavier NX',
  arch: 'arm64',
  compatible: [
    'nvidia,p3509-0000+p3668-0000',
    'nvidia,p3509-0000+p3668-0001',
    'nvidia,p3449-0000+p3668-0000',
    'nvidia,p3449-0000+p3668-0001',
    'nvidia,p3449-0000+p3668-0003',
  ],
  memoryBudgetMb: { runtime: 256, engine: 2048 },
  headers: [header],
  buses: [
    i2c('i2c-8', '31e0000', [3, 5]),
    i2c('i2c-1', 'c240000', [27, 28]),
    ...spi(0, '3210000', [19, 21, 23, 24, 26]),
    ...spi(1, '3230000', [37, 22, 13, 18, 16]),
    uart('3100000'),
  ],
  pwm: [
    { pin: 15, device: 'c340000.pwm', channel: 0, enable: jetsonIo },
    { pin: 32, device: '32f0000.pwm', channel: 0, enable: jetsonIo },
    { pin: 33, device: '3280000.pwm', channel: 0, enable: jetsonIo },
  ],
  thermal: [],
  power: [{ kind: 'rail', name: 'module', hwmon: 'ina3221' }],
  accelerators: [
    { id: 'cpu', name: 'CPU, 6 × Carmel', claim: 'none stated', shownBy: [], reachedBy: 'cpu' },
    nvidiaGpu('Volta GPU', '21 TOPS with the DLA (INT8)', ['nvidia,gv11b', '17000000.gpu', '17000000.gv11b']),
    nvidiaDla('NVDLA, 2 cores', ['nvidia,tegra194-nvdla']),
  ],
  watchdogSMax: tegraWatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/nvidia/tegra194-p3509-0000+p3668-0001.dts',
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/nvidia/tegra194-p3668.dtsi (the rails)',
    'https://github.com/NVIDIA/jetson-gpio/blob/master/lib/python/Jetson/GPIO/gpio_pin_data.py',
    'tegra194-soc-i2c.dtsi of NVIDIA’s kernel (i2c8 is 31e0000, on the pads of dpaux3)',
    'Jetson Xavier NX data sheet, DA-09366 (the claim)',
    'i2cdetect -l of devices that people show (i2c-1 is c240000, i2c-8 is 31e0000)',
    'unverified: that i2c-1 is on pins 27 and 28 here as on Orin',
    'boards/families/tegra.ts',
  ],
}
