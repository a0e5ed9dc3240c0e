/**
 * Radxa ROCK 5B (RK3588, 4 to 32 GB). Budgets are chosen for the smallest. Pins 8 and 10 are the console; pin 22 is an
 * analogue input of the chip's SARADC (`in4`). Pins 18, 27 and 28 are 1.8 V at the chip: measure before wiring.
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

const overlay = (what: string) => `run sudo rsetup, turn on the overlay ${what}, and restart`
const i2c = rockchipI2c(overlay)
const spi = rockchipSpi(overlay)
const uart = rockchipUart(overlay)
const pwm = rockchipPwm(overlay)

const header = fortyPinHeader('40-pin', [
  rockchipPin(3, 'GPIO4_B3', ['I2C7 SDA (M3)', 'PWM15 (M1)']),
  rockchipPin(5, 'GPIO4_B2', ['I2C7 SCL (M3)', 'PWM14 (M1)']),
  rockchipPin(7, 'GPIO3_C3', ['I2C8 SDA (M4)', 'PWM15 (M0)']),
  rockchipPin(8, 'GPIO0_B5', ['UART2 TX (M0)', 'I2C1 SCL (M0)'], 'the console: uart-2'),
  rockchipPin(10, 'GPIO0_B6', ['UART2 RX (M0)', 'I2C1 SDA (M0)'], 'the console: uart-2'),
  rockchipPin(11, 'GPIO3_C1', ['UART7 RX (M1)', 'SPI1 CLK (M1)']),
  rockchipPin(12, 'GPIO3_B5', ['UART3 TX (M1)', 'PWM12 (M0)']),
  rockchipPin(13, 'GPIO3_B7', ['I2C3 SCL (M1)', 'SPI1 MOSI (M1)']),
  rockchipPin(15, 'GPIO3_C0', ['I2C3 SDA (M1)', 'UART7 TX (M1)', 'SPI1 MISO (M1)']),
  rockchipPin(16, 'GPIO3_A4'),
  rockchipPin(18, 'GPIO4_C4', ['PWM5 (M2)', 'SPI3 MISO (M0)']),
  rockchipPin(19, 'GPIO1_B2', ['SPI0 MOSI (M2)', 'UART4 RX (M2)']),
  rockchipPin(21, 'GPIO1_B1', ['SPI0 MISO (M2)']),
  rockchipPin(23, 'GPIO1_B3', ['SPI0 CLK (M2)', 'UART4 TX (M2)']),
  rockchipPin(24, 'GPIO1_B4', ['SPI0 CS0 (M2)', 'UART7 RX (M2)']),
  rockchipPin(26, 'GPIO1_B5', ['SPI0 CS1 (M2)', 'UART7 TX (M2)']),
  rockchipPin(27, 'GPIO4_C6', ['I2C0 SDA (M1)', 'PWM7 (M3)']),
  rockchipPin(28, 'GPIO4_C5', ['I2C0 SCL (M1)', 'PWM6 (M2)']),
  rockchipPin(29, 'GPIO1_D7', ['PWM15 (M3)']),
  rockchipPin(31, 'GPIO1_B7', ['PWM13 (M2)']),
  rockchipPin(32, 'GPIO3_C2', ['I2C8 SCL (M4)', 'PWM14 (M0)']),
  rockchipPin(33, 'GPIO3_A7', ['PWM8 (M0)']),
  rockchipPin(35, 'GPIO3_B6', ['UART3 RX (M1)', 'PWM13 (M0)']),
  rockchipPin(36, 'GPIO3_B1', ['UART2 TX (M2)', 'PWM2 (M1)']),
  rockchipPin(38, 'GPIO3_B2', ['UART2 RX (M2)', 'PWM3 (M1)']),
  rockchipPin(40, 'GPIO3_B3'),
])

export const rock5b: Board = {
  id: 'radxa-rock-5b',
  name: 'Radxa ROCK 5B',
  arch: 'arm64',
  compatible: ['radxa,rock-5b'],
  memoryBudgetMb: { runtime: 192, engine: 1024 },
  headers: [header],
  buses: [
    i2c(8, 'm4', [7, 32]),
    i2c(3, 'm1', [15, 13]),
    spi(0, 'm2', 0, [19, 21, 23, 24]),
    spi(0, 'm2', 1, [19, 21, 23, 26]),
    uart(3, 'm1', [12, 35]),
    uart(4, 'm2', [23, 19]),
    uart(7, 'm1', [15, 11]),
  ],
  pwm: [
    pwm(33, 8, 'm0'),
    pwm(12, 12, 'm0'),
    pwm(35, 13, 'm0'),
    pwm(31, 13, 'm2'),
    pwm(32, 14, 'm0'),
    pwm(5, 14, 'm1'),
    pwm(7, 15, 'm0'),
    pwm(3, 15, 'm1'),
    pwm(29, 15, 'm3'),
    pwm(18, 5, 'm2'),
    pwm(28, 6, 'm2'),
    pwm(27, 7, 'm3'),
    pwm(36, 2, 'm1'),
    pwm(38, 3, 'm1'),
  ],
  thermal: rk3588Thermal,
  power: [],
  accelerators: rk3588Accelerators,
  watchdogSMax: rk3588WatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/rockchip/rk3588-rock-5b.dts',
    'https://github.com/adafruit/Adafruit_Blinka/blob/main/src/adafruit_blinka/board/radxa/rock5.py',
    'https://github.com/eclipse/mraa/blob/master/src/arm/radxa_rock_5b.c',
    'https://github.com/radxa-pkg/radxa-overlays (names of the overlays)',
    'unverified: level of the pins 18, 27 and 28: 1.8 V at the chip, measure before wiring',
    'boards/families/rk3588.ts',
  ],
}
