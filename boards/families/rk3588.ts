/**
 * Boards with a Rockchip RK3588 or RK3588S. The kernel labels the banks `gpio0` to `gpio4` and names no lines; a bank has 32,
 * eight to each of A, B, C, D (linux/drivers/gpio/gpio-rockchip.c). Sources: addresses, thermal trips:
 * https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/rockchip/rk3588-base.dtsi; which pins a controller may
 * use (`M0`, `M1`, …): rk3588-base-pinctrl.dtsi and rk3588-extra-pinctrl.dtsi there.
 *
 * Levels: GPIO1_C0 to GPIO1_D5, GPIO2_A0 to A3, GPIO2_D0 to D7 and GPIO4_C2 to C6 are 1.8 V only at the chip (Rockchip,
 * RK3588 PinOut V1.1, supplies VCCIO1, EMMCIO, VCCIO3). Whether a board shifts them to 3.3 V is in its schematic: unverified,
 * so each board names its pins of that kind, to be measured before anything is wired to them.
 */
import type {
  BoardAccelerator,
  BoardBus,
  BoardPwm,
  HeaderPin,
  ThermalZone,
} from '../../hal/contract/board.ts'

type GpioPin = Extract<HeaderPin, { kind: 'gpio' }>

/** `GPIO4_B3` is bit 3 of group B of bank 4: line 8 + 3 of the chip `gpio4`. */
export function rockchipPin(
  pin: number,
  name: string,
  functions: readonly string[] = [],
  reserved?: string,
): GpioPin {
  const bank = name.slice(4, 5)
  const group = 'ABCD'.indexOf(name.slice(6, 7))
  return {
    pin,
    kind: 'gpio',
    name,
    chip: `gpio${bank}`,
    line: group * 8 + Number(name.slice(7)),
    functions,
    ...(reserved === undefined ? {} : { reserved }),
  }
}

/** What each vendor calls its tool for overlays. */
export type OverlayHelp = (what: string) => string

const i2cAddresses: Readonly<Record<number, string>> = {
  1: 'fea90000',
  2: 'feaa0000',
  3: 'feab0000',
  4: 'feac0000',
  5: 'fead0000',
  7: 'fec90000',
  8: 'feca0000',
}
export const rockchipI2c =
  (help: OverlayHelp) =>
  (n: keyof typeof i2cAddresses, mux: string, pins: readonly [sda: number, scl: number]): BoardBus => ({
    id: `i2c-${n}`,
    kind: 'i2c',
    device: `${i2cAddresses[n]}.i2c`,
    pins,
    enable: help(`i2c${n}-${mux}`),
  })

const spiAddresses: Readonly<Record<number, string>> = { 0: 'feb00000', 1: 'feb10000', 4: 'fecb0000' }
/** `pins` are MOSI, MISO, clock and the chip select `cs`. */
export const rockchipSpi =
  (help: OverlayHelp) =>
  (
    n: keyof typeof spiAddresses,
    mux: string,
    cs: 0 | 1,
    pins: readonly [number, number, number, number],
  ): BoardBus => ({
    id: `spi-${n}.${cs}`,
    kind: 'spi',
    device: `${spiAddresses[n]}.spi`,
    pins,
    enable: help(`spi${n}-${mux}-cs${cs}-spidev`),
  })

const uartAddresses: Readonly<Record<number, string>> = {
  0: 'fd890000',
  1: 'feb40000',
  3: 'feb60000',
  4: 'feb70000',
  6: 'feb90000',
  7: 'feba0000',
  8: 'febb0000',
}
export const rockchipUart =
  (help: OverlayHelp) =>
  (n: keyof typeof uartAddresses, mux: string, pins: readonly [tx: number, rx: number]): BoardBus => ({
    id: `uart-${n}`,
    kind: 'serial',
    device: `${uartAddresses[n]}.serial`,
    pins,
    enable: help(`uart${n}-${mux}`),
  })

const pwmBases = ['fd8b00', 'febd00', 'febe00', 'febf00']
/** Sixteen controllers of one channel, four to a block. */
export const rockchipPwm =
  (help: OverlayHelp) =>
  (pin: number, n: number, mux: string): BoardPwm => ({
    pin,
    device: `${pwmBases[Math.floor(n / 4)]}${n % 4}0.pwm`,
    channel: 0,
    enable: help(`pwm${n}-${mux}`),
  })

export const rk3588Thermal: readonly ThermalZone[] = [
  'bigcore0-thermal',
  'bigcore2-thermal',
  'littlecore-thermal',
  'gpu-thermal',
].map((type) => ({ type, warnC: 85, criticalC: 115 }))

export const rk3588Accelerators: readonly BoardAccelerator[] = [
  {
    id: 'cpu',
    name: 'CPU, 4 × Cortex-A76 and 4 × Cortex-A55',
    claim: 'none stated',
    shownBy: [],
    reachedBy: 'cpu',
  },
  {
    id: 'npu',
    name: 'Rockchip NPU',
    claim: '6 TOPS (INT8)',
    shownBy: ['rockchip,rk3588-rknpu', 'rockchip,rk3588-rknn-core', 'fdab0000.npu'],
    reachedBy: { adapter: 'rknn' },
  },
  {
    id: 'gpu',
    name: 'Mali-G610 MP4 GPU',
    claim: 'none stated for inference',
    shownBy: ['fb000000.gpu', 'rockchip,rk3588-mali'],
    reachedBy: 'not-yet',
  },
]

/** 2^31 ticks of 24 MHz: linux/drivers/watchdog/dw_wdt.c with TCLK_WDT0 of linux/drivers/clk/rockchip/clk-rk3588.c. */
export const rk3588WatchdogSMax = 89
