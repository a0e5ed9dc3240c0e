/**
 * Raspberry Pi 4 and Compute Module 4 (BCM2711). Sources: alternate functions: the maker's table `bcm2711_gpio_alt_names` in
 * https://github.com/raspberrypi/utils/blob/master/pinctrl/gpiochip_bcm2835.c; addresses and default pins:
 * https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm/boot/dts/broadcom/bcm2711.dtsi and bcm2711-rpi-ds.dtsi (the
 * SoC's 0x7e… is 0xfe… to the processor); what enables a bus: the overlays' README there.
 */
import type { BoardAccelerator, BoardBus, BoardPwm } from '../../hal/contract/board.ts'
import { configTxt, i2cEnable, oneWireEnable, spiEnable } from './raspberrypi-header.ts'

export const bcm2711Chip = 'pinctrl-bcm2711'

/** Of the lines 0 to 27, what is used most first. */
export const bcm2711Functions: readonly (readonly string[])[] = [
  ['I2C0 SDA', 'SPI3 CE0', 'UART2 TXD', 'I2C6 SDA'],
  ['I2C0 SCL', 'SPI3 MISO', 'UART2 RXD', 'I2C6 SCL'],
  ['I2C1 SDA', 'SPI3 MOSI', 'UART2 CTS', 'I2C3 SDA'],
  ['I2C1 SCL', 'SPI3 SCLK', 'UART2 RTS', 'I2C3 SCL'],
  ['1-Wire', 'I2C3 SDA', 'UART3 TXD', 'GPCLK0', 'SPI4 CE0'],
  ['I2C3 SCL', 'UART3 RXD', 'GPCLK1', 'SPI4 MISO'],
  ['GPCLK2', 'SPI4 MOSI', 'UART3 CTS', 'I2C4 SDA'],
  ['SPI0 CE1', 'SPI4 SCLK', 'UART3 RTS', 'I2C4 SCL'],
  ['SPI0 CE0', 'UART4 TXD', 'I2C4 SDA'],
  ['SPI0 MISO', 'UART4 RXD', 'I2C4 SCL'],
  ['SPI0 MOSI', 'UART4 CTS', 'I2C5 SDA'],
  ['SPI0 SCLK', 'UART4 RTS', 'I2C5 SCL'],
  ['PWM0', 'SPI5 CE0', 'UART5 TXD', 'I2C5 SDA'],
  ['PWM1', 'SPI5 MISO', 'UART5 RXD', 'I2C5 SCL'],
  ['UART0 TXD', 'SPI5 MOSI', 'UART5 CTS', 'UART1 TXD'],
  ['UART0 RXD', 'SPI5 SCLK', 'UART5 RTS', 'UART1 RXD'],
  ['SPI1 CE2', 'UART0 CTS', 'UART1 CTS'],
  ['SPI1 CE1', 'UART0 RTS', 'UART1 RTS'],
  ['PWM0', 'PCM CLK', 'SPI1 CE0', 'SPI6 CE0'],
  ['PWM1', 'PCM FS', 'SPI1 MISO', 'SPI6 MISO'],
  ['SPI1 MOSI', 'PCM DIN', 'SPI6 MOSI', 'GPCLK0'],
  ['SPI1 SCLK', 'PCM DOUT', 'SPI6 SCLK', 'GPCLK1'],
  ['SD1 CLK', 'JTAG TRST', 'I2C6 SDA'],
  ['SD1 CMD', 'JTAG RTCK', 'I2C6 SCL'],
  ['SD1 DAT0', 'JTAG TDO', 'SPI3 CE1'],
  ['SD1 DAT1', 'JTAG TCK', 'SPI4 CE1'],
  ['SD1 DAT2', 'JTAG TDI', 'SPI5 CE1'],
  ['SD1 DAT3', 'JTAG TMS', 'SPI6 CE1'],
]

/** The header's UART is the small one (UART1) unless Bluetooth is switched off; /dev/serial0 names it either way. */
const serialEnable =
  'add enable_uart=1 to /boot/firmware/config.txt, take console=serial0,115200 out of /boot/firmware/cmdline.txt, and restart'

const i2c = (n: number, address: string, pins: readonly number[]): BoardBus => ({
  id: `i2c-${n}`,
  kind: 'i2c',
  device: `${address}.i2c`,
  path: `/dev/i2c-${n}`,
  pins,
  enable: n === 1 ? i2cEnable : configTxt(`dtoverlay=i2c${n}`),
})

/** Kernels number these ports differently, so only their address says which is which. */
const uart = (n: number, address: string, pins: readonly number[]): BoardBus => ({
  id: `uart-${n}`,
  kind: 'serial',
  device: `${address}.serial`,
  pins,
  enable: configTxt(`dtoverlay=uart${n}`),
})

export const bcm2711Buses: readonly BoardBus[] = [
  i2c(1, 'fe804000', [3, 5]),
  i2c(3, 'fe205600', [7, 29]),
  i2c(4, 'fe205800', [24, 21]),
  i2c(5, 'fe205a00', [32, 33]),
  i2c(6, 'fe205c00', [15, 16]),
  {
    id: 'spi-0.0',
    kind: 'spi',
    device: 'fe204000.spi',
    path: '/dev/spidev0.0',
    pins: [19, 21, 23, 24],
    enable: spiEnable,
  },
  {
    id: 'spi-0.1',
    kind: 'spi',
    device: 'fe204000.spi',
    path: '/dev/spidev0.1',
    pins: [19, 21, 23, 26],
    enable: spiEnable,
  },
  {
    id: 'spi-1.0',
    kind: 'spi',
    device: 'fe215080.spi',
    path: '/dev/spidev1.0',
    pins: [38, 35, 40, 12],
    enable: configTxt('dtoverlay=spi1-1cs'),
  },
  {
    id: 'uart-0',
    kind: 'serial',
    device: 'fe215040.serial',
    path: '/dev/serial0',
    pins: [8, 10],
    enable: serialEnable,
  },
  uart(3, 'fe201600', [7, 29]),
  uart(4, 'fe201800', [24, 21]),
  uart(5, 'fe201a00', [32, 33]),
  { id: 'w1-0', kind: 'one-wire', pins: [7], enable: oneWireEnable },
]

const onGpio12And13 = configTxt('dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4')
const onGpio18And19 = configTxt('dtoverlay=pwm-2chan')

/** Two channels, each on one of two pins; the other controller (fe20c800) plays sound on the Pi 4. */
export const bcm2711Pwm: readonly BoardPwm[] = [
  { pin: 32, device: 'fe20c000.pwm', channel: 0, enable: onGpio12And13 },
  { pin: 33, device: 'fe20c000.pwm', channel: 1, enable: onGpio12And13 },
  { pin: 12, device: 'fe20c000.pwm', channel: 0, enable: onGpio18And19 },
  { pin: 35, device: 'fe20c000.pwm', channel: 1, enable: onGpio18And19 },
]

export const videoCore6: BoardAccelerator = {
  id: 'gpu',
  name: 'VideoCore VI GPU',
  claim: 'none stated for inference',
  shownBy: ['brcm,2711-v3d'],
  reachedBy: 'not-yet',
}
