/**
 * NVIDIA Jetson modules on NVIDIA's developer kits. Lines are named by the kernel's driver (`PR.04`: port R, bit 4;
 * linux/drivers/gpio/gpio-tegra186.c), so the names hold in NVIDIA's and in the upstream kernel; Tegra210 names none and
 * counts port by port. Sources: lines, PWM:
 * https://github.com/NVIDIA/jetson-gpio/blob/master/lib/python/Jetson/GPIO/gpio_pin_data.py; lines of the buses: the pin
 * names of linux/drivers/pinctrl/tegra/pinctrl-tegra{210,194,234}.c; controllers: linux/arch/arm64/boot/dts/nvidia.
 * Which SPI controller is on which pins: people's loopbacks on Orin Nano (3210000: 19, 21, 23; 3230000: 37, 22), NVIDIA's
 * overlays for Xavier NX; for AGX Orin it follows from the names of the pads alone.
 */
import type { BoardAccelerator, BoardBus, Header, HeaderPin } from '../../hal/contract/board.ts'
import { fortyPinHeader } from './forty-pin.ts'

/** `SPI0_MOSI` says the function; pins called `GPIO…` have none but what `more` names. */
export interface TegraPin {
  readonly pin: number
  readonly line: string | number
  /** As NVIDIA's documentation names it. */
  readonly name: string
  readonly functions?: readonly string[]
  /** On the always-on controller. */
  readonly aon?: true
  /** Of the bus that the device tree gives the pin to. */
  readonly bus?: string
}

export function tegraHeader(name: string, chip: string, pins: readonly TegraPin[]): Header {
  return fortyPinHeader(
    name,
    pins.map((pin) => gpioPin(chip, pin)),
  )
}

function gpioPin(
  chip: string,
  { pin, line, name, functions, aon, bus }: TegraPin,
): Extract<HeaderPin, { kind: 'gpio' }> {
  return {
    pin,
    kind: 'gpio',
    name,
    chip: aon ? `${chip}-aon` : chip,
    line,
    functions: functions ?? (/^(SPI|UART|I2C|I2S|CAN)\d_/.test(name) ? [name.replace('_', ' ')] : []),
    ...(bus === undefined ? {} : { reserved: `always ${bus}` }),
  }
}

const nvidiaKernel = 'start with NVIDIA’s kernel, which turns it on'
export const jetsonIo =
  'run sudo /opt/nvidia/jetson-io/jetson-io.py, turn it on for the 40-pin header, and restart'

/** I2C and UART pins of the Orin and Xavier modules: their lines, and the buses that always have them. */
export const tegra194BusPins = (i2cOnPin3: string, i2cOnPin27: string): readonly TegraPin[] => [
  { pin: 27, line: 'PDD.00', name: 'I2C0_SDA', aon: true, bus: i2cOnPin27 },
  { pin: 28, line: 'PCC.07', name: 'I2C0_SCL', aon: true, bus: i2cOnPin27 },
  ...(i2cOnPin3 === 'i2c-7'
    ? ([
        { pin: 3, line: 'PDD.02', name: 'I2C1_SDA', aon: true, bus: i2cOnPin3 },
        { pin: 5, line: 'PDD.01', name: 'I2C1_SCL', aon: true, bus: i2cOnPin3 },
      ] as const)
    : []),
  { pin: 8, line: 'PR.02', name: 'UART1_TXD', bus: 'uart-0' },
  { pin: 10, line: 'PR.03', name: 'UART1_RXD', bus: 'uart-0' },
]

export const i2c = (id: string, device: string, pins: readonly number[]): BoardBus => ({
  id,
  kind: 'i2c',
  device: `${device}.i2c`,
  pins,
  enable: nvidiaKernel,
})

/** Chip selects 0 and 1 of one controller; `pins` are MOSI, MISO, clock and the two selects. */
export function spi(n: number, device: string, pins: readonly [number, number, number, number, number]) {
  const [mosi, miso, clock, ...selects] = pins
  return selects.map(
    (select, index): BoardBus => ({
      id: `spi-${n}.${index}`,
      kind: 'spi',
      device: `${device}.spi`,
      pins: [mosi, miso, clock, select],
      enable: jetsonIo,
    }),
  )
}

/** The port is free once nobody logs in on it. */
export const uart = (device: string): BoardBus => ({
  id: 'uart-0',
  kind: 'serial',
  device: `${device}.serial`,
  pins: [8, 10],
  enable: `${nvidiaKernel}; then: sudo systemctl disable --now nvgetty`,
})

export const nvidiaGpu = (name: string, claim: string, shownBy: readonly string[]): BoardAccelerator => ({
  id: 'gpu',
  name,
  claim,
  shownBy,
  reachedBy: { adapter: 'tensorrt' },
})

export const nvidiaDla = (name: string, shownBy: readonly string[]): BoardAccelerator => ({
  id: 'dla',
  name,
  claim: 'part of what is stated for the GPU',
  shownBy,
  reachedBy: { adapter: 'tensorrt' },
})

/** linux/drivers/watchdog/tegra_wdt.c and linux/drivers/clocksource/timer-tegra186.c. */
export const tegraWatchdogSMax = 255
