/**
 * Orange Pi 5 (RK3588S, 4 to 32 GB), whose 26 pins lie as the first 26 of 40. Budgets are chosen for the smallest. PWM is
 * listed where the multiplexer's table was found; the board may have more. Pin 22 is a line of the flash's supply, 1.8 V at the
 * chip, so it is kept from everybody; 7, 16, 18, 19, 21, 23 and 24 are 1.8 V at the chip too: measure before wiring.
 */
import type { Board } from '../hal/contract/board.ts'
import { fortyPinHeader } from './families/forty-pin.ts'
import {
  rk3588Accelerators,
  rk3588Thermal,
  rk3588WatchdogSMax,
  rockchipI2c,
  rockchipPin,
  rockchipPwm,
  rockchipSpi,
  rockchipUart,
} from './families/rk3588.ts'

const overlay = (what: string) => `add ${what} to the line overlays= of /boot/orangepiEnv.txt and restart`
const i2c = rockchipI2c(overlay)
const spi = rockchipSpi(overlay)
const uart = rockchipUart(overlay)
const pwm = rockchipPwm(overlay)

const header = fortyPinHeader(
  '26-pin',
  [
    rockchipPin(3, 'GPIO1_B7', ['I2C5 SDA (M3)', 'UART1 RX (M1)', 'PWM13 (M2)']),
    rockchipPin(5, 'GPIO1_B6', ['I2C5 SCL (M3)', 'UART1 TX (M1)']),
    rockchipPin(7, 'GPIO1_C6'),
    rockchipPin(8, 'GPIO4_A3', ['UART0 TX (M2)']),
    rockchipPin(10, 'GPIO4_A4', ['UART0 RX (M2)']),
    rockchipPin(11, 'GPIO4_B2', ['PWM14 (M1)']),
    rockchipPin(12, 'GPIO0_D5'),
    rockchipPin(13, 'GPIO4_B3', ['PWM15 (M1)']),
    rockchipPin(15, 'GPIO0_D4'),
    rockchipPin(16, 'GPIO1_D3', ['UART4 RX (M0)']),
    rockchipPin(18, 'GPIO1_D2', ['UART4 TX (M0)']),
    rockchipPin(19, 'GPIO1_C1', ['SPI4 MOSI (M0)', 'I2C3 SCL (M0)', 'UART3 TX (M0)']),
    rockchipPin(21, 'GPIO1_C0', ['SPI4 MISO (M0)', 'I2C3 SDA (M0)', 'UART3 RX (M0)']),
    rockchipPin(22, 'GPIO2_D4', [], '1.8 V, flash supply'),
    rockchipPin(23, 'GPIO1_C2', ['SPI4 CLK (M0)']),
    rockchipPin(24, 'GPIO1_C4', ['SPI4 CS1 (M0)']),
    rockchipPin(26, 'GPIO1_A3'),
  ],
  26,
)

export const orangePi5: Board = {
  id: 'xunlong-orangepi-5',
  name: 'Orange Pi 5',
  arch: 'arm64',
  compatible: ['xunlong,orangepi-5'],
  memoryBudgetMb: { runtime: 192, engine: 1024 },
  headers: [header],
  buses: [
    i2c(5, 'm3', [3, 5]),
    i2c(3, 'm0', [21, 19]),
    spi(4, 'm0', 1, [19, 21, 23, 24]),
    uart(0, 'm2', [8, 10]),
    uart(1, 'm1', [5, 3]),
    uart(3, 'm0', [19, 21]),
    uart(4, 'm0', [18, 16]),
  ],
  pwm: [pwm(3, 13, 'm2'), pwm(11, 14, 'm1'), pwm(13, 15, 'm1')],
  thermal: rk3588Thermal,
  power: [],
  accelerators: rk3588Accelerators,
  watchdogSMax: rk3588WatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/rockchip/rk3588s-orangepi-5.dts',
    'https://github.com/adafruit/Adafruit_Blinka/blob/main/src/adafruit_blinka/board/orangepi/orangepi5.py',
    'https://github.com/orangepi-xunlong/wiringOP/blob/next/wiringPi/wiringPi.c (physToGpio_5)',
    'https://github.com/orangepi-xunlong/linux-orangepi, overlay/Makefile (names of the overlays)',
    'unverified: level of the pins 7, 16, 18, 19, 21, 23 and 24: 1.8 V at the chip, measure before wiring',
    'boards/families/rk3588.ts',
  ],
}
