/**
 * NVIDIA Jetson Orin NX (Tegra234, 8 or 16 GB) on the Orin Nano's carrier, or that of Xavier NX. Budgets are chosen for the
 * smallest, 8 GB.
 */
import type { Board } from '../hal/contract/board.ts'
import { nvidiaDla, nvidiaGpu, tegraWatchdogSMax } from './families/tegra.ts'
import {
  orinBuses,
  orinDlaSigns,
  orinGpuSigns,
  orinHeader,
  orinPower,
  orinPwm,
  orinThermal,
} from './families/tegra234.ts'

export const jetsonOrinNx: Board = {
  id: 'nvidia-jetson-orin-nx',
  name: 'NVIDIA Jetson Orin NX',
  arch: 'arm64',
  compatible: [
    'nvidia,p3768-0000+p3767-0000',
    'nvidia,p3509-0000+p3767-0000',
    'nvidia,p3768-0000+p3767-0000-super',
    'nvidia,p3768-0000+p3767-0001',
    'nvidia,p3509-0000+p3767-0001',
    'nvidia,p3768-0000+p3767-0001-super',
  ],
  memoryBudgetMb: { runtime: 256, engine: 2048 },
  headers: [orinHeader],
  buses: orinBuses,
  pwm: orinPwm,
  thermal: orinThermal,
  power: orinPower,
  accelerators: [
    { id: 'cpu', name: 'CPU, 6 or 8 × Cortex-A78AE', claim: 'none stated', shownBy: [], reachedBy: 'cpu' },
    nvidiaGpu(
      'Ampere GPU',
      '117 (8 GB) to 157 TOPS with the DLA (INT8, sparse); 70 to 100 without -super',
      orinGpuSigns,
    ),
    nvidiaDla('NVDLA, 1 or 2 cores', orinDlaSigns),
  ],
  watchdogSMax: tegraWatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/nvidia/tegra234-p3768-0000+p3767-0000.dts',
    'https://github.com/NVIDIA/jetson-gpio/blob/master/lib/python/Jetson/GPIO/gpio_pin_data.py',
    'NVIDIA’s device tree overlays for p3768-0000+p3767-… (the names with -super)',
    'unverified: the claim was read in several places, none of them NVIDIA’s',
    'unverified: ina3221 on this module',
    'boards/families/tegra234.ts',
  ],
}
