/**
 * NVIDIA Jetson AGX Orin (Tegra234, 32 or 64 GB) on the developer kit's carrier. CAN has its own pins here. Pin 11 can only be
 * an output (gpio_pin_data.py: so the carrier makes it); others that are level-shifted one way only are in NVIDIA's carrier
 * specification. Upstream gives no thermal limits, so the kernel's own count.
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
import { orinDlaSigns, orinGpuSigns } from './families/tegra234.ts'

const header = tegraHeader('40-pin', 'tegra234-gpio', [
  ...tegra194BusPins('i2c-7', 'i2c-1'),
  { pin: 7, line: 'PQ.06', name: 'MCLK05' },
  { pin: 11, line: 'PR.04', name: 'UART1_RTS' },
  { pin: 12, line: 'PH.07', name: 'I2S2_CLK' },
  { pin: 13, line: 'PR.00', name: 'PWM01' },
  { pin: 15, line: 'PN.01', name: 'GPIO27', functions: ['PWM1'] },
  { pin: 16, line: 'PBB.01', name: 'GPIO08', aon: true },
  { pin: 18, line: 'PH.00', name: 'GPIO35', functions: ['PWM5'] },
  { pin: 19, line: 'PZ.05', name: 'SPI1_MOSI' },
  { pin: 21, line: 'PZ.04', name: 'SPI1_MISO' },
  { pin: 22, line: 'PP.04', name: 'GPIO17' },
  { pin: 23, line: 'PZ.03', name: 'SPI1_CLK' },
  { pin: 24, line: 'PZ.06', name: 'SPI1_CS0_N' },
  { pin: 26, line: 'PZ.07', name: 'SPI1_CS1_N' },
  { pin: 29, line: 'PAA.01', name: 'CAN0_DIN', aon: true },
  { pin: 31, line: 'PAA.00', name: 'CAN0_DOUT', aon: true },
  { pin: 32, line: 'PBB.00', name: 'GPIO09', aon: true },
  { pin: 33, line: 'PAA.02', name: 'CAN1_DOUT', aon: true },
  { pin: 35, line: 'PI.02', name: 'I2S2_FS' },
  { pin: 36, line: 'PR.05', name: 'UART1_CTS' },
  { pin: 37, line: 'PAA.03', name: 'CAN1_DIN', aon: true },
  { pin: 38, line: 'PI.01', name: 'I2S2_DIN' },
  { pin: 40, line: 'PI.00', name: 'I2S2_DOUT' },
])

const canEnable = (n: number) =>
  `turn it on with sudo /opt/nvidia/jetson-io/jetson-io.py, then: sudo ip link set can${n} up type can bitrate 500000`

export const jetsonAgxOrin: Board = {
  id: 'nvidia-jetson-agx-orin',
  name: 'NVIDIA Jetson AGX Orin',
  arch: 'arm64',
  compatible: [
    'nvidia,p3737-0000+p3701-0000',
    'nvidia,p3737-0000+p3701-0001',
    'nvidia,p3737-0000+p3701-0004',
    'nvidia,p3737-0000+p3701-0005',
    'nvidia,p3737-0000+p3701-0008',
  ],
  memoryBudgetMb: { runtime: 256, engine: 8192 },
  headers: [header],
  buses: [
    i2c('i2c-7', 'c250000', [3, 5]),
    i2c('i2c-1', 'c240000', [27, 28]),
    ...spi(0, '3210000', [19, 21, 23, 24, 26]),
    uart('3100000'),
    { id: 'can-0', kind: 'can', device: 'c310000.mttcan', pins: [29, 31], enable: canEnable(0) },
    { id: 'can-1', kind: 'can', device: 'c320000.mttcan', pins: [33, 37], enable: canEnable(1) },
  ],
  pwm: [
    { pin: 15, device: '3280000.pwm', channel: 0, enable: jetsonIo },
    { pin: 18, device: '32c0000.pwm', channel: 0, enable: jetsonIo },
  ],
  thermal: [],
  power: [{ kind: 'rail', name: 'module', hwmon: 'ina3221' }],
  accelerators: [
    { id: 'cpu', name: 'CPU, 8 or 12 × Cortex-A78AE', claim: 'none stated', shownBy: [], reachedBy: 'cpu' },
    nvidiaGpu('Ampere GPU', '200 to 275 TOPS with the DLA (INT8, sparse)', orinGpuSigns),
    nvidiaDla('NVDLA, 2 cores', orinDlaSigns),
  ],
  watchdogSMax: tegraWatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/nvidia/tegra234-p3701.dtsi',
    'https://github.com/NVIDIA/jetson-gpio/blob/master/lib/python/Jetson/GPIO/gpio_pin_data.py',
    'https://github.com/NVIDIA/edk2-nvidia (names of the GPU), NVIDIA’s nvdla driver (names of the DLA)',
    'unverified: 200 TOPS of the 32 GB module (275 of the 64 GB one is in NVIDIA’s data sheet)',
    'boards/families/tegra.ts',
  ],
}
