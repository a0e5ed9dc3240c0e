/**
 * Orange Pi 5 Plus (RK3588, 4 to 32 GB). Budgets are chosen for the smallest. PWM is listed where the multiplexer's table was
 * found; the board may have more.
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

const header = fortyPinHeader('40-pin', [
  rockchipPin(3, 'GPIO0_C0', ['I2C2 SDA (M0)']),
  rockchipPin(5, 'GPIO0_B7', ['I2C2 SCL (M0)']),
  rockchipPin(7, 'GPIO1_D6', ['I2C8 SCL (M2)']),
  rockchipPin(8, 'GPIO1_A1', ['UART6 TX (M1)']),
  rockchipPin(10, 'GPIO1_A0', ['UART6 RX (M1)']),
  rockchipPin(11, 'GPIO1_A4'),
  rockchipPin(12, 'GPIO3_A1'),
  rockchipPin(13, 'GPIO1_A7'),
  rockchipPin(15, 'GPIO1_B0'),
  rockchipPin(16, 'GPIO3_B5', ['UART3 TX (M1)', 'PWM12 (M0)']),
  rockchipPin(18, 'GPIO3_B6', ['UART3 RX (M1)', 'PWM13 (M0)']),
  rockchipPin(19, 'GPIO1_B2', ['SPI0 MOSI (M2)', 'UART4 RX (M2)']),
  rockchipPin(21, 'GPIO1_B1', ['SPI0 MISO (M2)']),
  rockchipPin(22, 'GPIO1_A2', ['I2C4 SDA (M3)']),
  rockchipPin(23, 'GPIO1_B3', ['SPI0 CLK (M2)', 'UART4 TX (M2)']),
  rockchipPin(24, 'GPIO1_B4', ['SPI0 CS0 (M2)', 'UART7 RX (M2)']),
  rockchipPin(26, 'GPIO1_B5', ['SPI0 CS1 (M2)', 'UART7 TX (M2)']),
  rockchipPin(27, 'GPIO1_B7', ['I2C5 SDA (M3)', 'UART1 RX (M1)', 'PWM13 (M2)']),
  rockchipPin(28, 'GPIO1_B6', ['I2C5 SCL (M3)', 'UART1 TX (M1)']),
  rockchipPin(29, 'GPIO1_D7', ['I2C8 SDA (M2)', 'PWM15 (M3)']),
  rockchipPin(31, 'GPIO3_A0'),
  rockchipPin(32, 'GPIO1_A3', ['I2C4 SCL (M3)']),
  rockchipPin(33, 'GPIO3_C2', ['PWM14 (M0)']),
  rockchipPin(35, 'GPIO3_A2', ['UART8 TX (M1)']),
  rockchipPin(36, 'GPIO3_A5'),
  rockchipPin(37, 'GPIO3_C1'),
  rockchipPin(38, 'GPIO3_A4'),
  rockchipPin(40, 'GPIO3_A3', ['UART8 RX (M1)']),
])

export const orangePi5Plus: Board = {
  id: 'xunlong-orangepi-5-plus',
  name: 'Orange Pi 5 Plus',
  arch: 'arm64',
  compatible: ['xunlong,orangepi-5-plus'],
  memoryBudgetMb: { runtime: 192, engine: 1024 },
  headers: [header],
  buses: [
    i2c(2, 'm0', [3, 5]),
    i2c(4, 'm3', [22, 32]),
    i2c(5, 'm3', [27, 28]),
    i2c(8, 'm2', [29, 7]),
    spi(0, 'm2', 0, [19, 21, 23, 24]),
    spi(0, 'm2', 1, [19, 21, 23, 26]),
    uart(1, 'm1', [28, 27]),
    uart(3, 'm1', [16, 18]),
    uart(4, 'm2', [23, 19]),
    uart(6, 'm1', [8, 10]),
    uart(7, 'm2', [26, 24]),
    uart(8, 'm1', [35, 40]),
  ],
  pwm: [pwm(16, 12, 'm0'), pwm(18, 13, 'm0'), pwm(27, 13, 'm2'), pwm(29, 15, 'm3'), pwm(33, 14, 'm0')],
  thermal: rk3588Thermal,
  power: [],
  accelerators: rk3588Accelerators,
  watchdogSMax: rk3588WatchdogSMax,
  sources: [
    'https://github.com/torvalds/linux/blob/v6.12/arch/arm64/boot/dts/rockchip/rk3588-orangepi-5-plus.dts',
    'https://github.com/adafruit/Adafruit_Blinka/blob/main/src/adafruit_blinka/board/orangepi/orangepi5plus.py',
    'https://github.com/orangepi-xunlong/wiringOP/blob/next/wiringPi/wiringPi.c (physToGpio_5PLUS)',
    'https://github.com/orangepi-xunlong/linux-orangepi, overlay/Makefile (names of the overlays)',
    'boards/families/rk3588.ts',
  ],
}
