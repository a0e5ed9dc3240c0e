/**
 * NVIDIA Jetson Orin Nano (Tegra234, 4 or 8 GB) on the developer kit's carrier, or that of Xavier NX. Budgets are chosen for
 * the smallest, 4 GB. `-super` is what NVIDIA's trees add for the faster clocks.
 */
import type { Board } from '../hal/contract/board.ts'
import { nvidiaGpu, tegraWatchdogSMax } from './families/tegra.ts'
import { orinBuses, orinGpuSigns, orinHeader, orinPower, orinPwm, orinThermal } from './families/tegra234.ts'

export const jetsonOrinNano: Board = {
  id: 'nvidia-jetson-orin-nano',
  name: 'NVIDIA Jetson Orin Nano',
  arch: 'arm64',
  compatible: [
    'nvidia,p3768-0000+p3767-0005',
    'nvidia,p3509-0000+p3767-0005',
    'nvidia,p3768-0000+p3767-0005-super',
    'nvidia,p3768-0000+p3767-0003',
    'nvidia,p3509-0000+p3767-0003',
    'nvidia,p3768-0000+p3767-0003-super',
    'nvidia,p3768-0000+p3767-0004',
    'nvidia,p3509-0000+p3767-0004',
    'nvidia,p3768-0000+p3767-0004-super',
  ],
  memoryBudgetMb: { runtime: 192, engine: 1024 },
  headers: [orinHeader],
  buses: orinBuses,
  pwm: orinPwm,
  thermal: orinThermal,
  power: orinPower,
  accelerators: [
    { id: 'cpu', name: 'CPU, 6 × Cortex-A78AE', claim: 'none stated', shownBy: [], reachedBy: 'cpu' },
    nvidiaGpu('Ampere GPU', '67 TOPS (INT8, sparse; 8 GB; 40 without -super)', orinGpuSigns),
  ],
  watchdogSMax: tegraWatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/nvidia/tegra234-p3768-0000+p3767-0005.dts',
    'https://github.com/NVIDIA/jetson-gpio/blob/master/lib/python/Jetson/GPIO/gpio_pin_data.py',
    'NVIDIA’s device tree overlays for p3768-0000+p3767-… (the names with -super)',
    'Jetson Orin Nano series data sheet (the claim; the 4 GB module had 20 TOPS when the 8 GB one had 40)',
    'paths in /sys of devices that people show (the rails)',
    'boards/families/tegra234.ts',
  ],
}
