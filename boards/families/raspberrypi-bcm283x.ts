/**
 * Raspberry Pi 3 and Zero 2 W (BCM2837). Sources: alternate functions: the maker's table `bcm2835_gpio_alt_names` in
 * https://github.com/raspberrypi/utils/blob/master/pinctrl/gpiochip_bcm2835.c; addresses:
 * https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm/boot/dts/broadcom/bcm283x.dtsi (the SoC's 0x7e… is 0x3f… to
 * the processor: bcm2837.dtsi); what enables a bus: the overlays' README there.
 */
import type { BoardAccelerator, BoardBus, BoardPwm } from '../../hal/contract/board.ts'
import { configTxt, i2cEnable, oneWireEnable, spiEnable } from './raspberrypi-header.ts'

export const bcm2837Chip = 'pinctrl-bcm2835'

/** Of the lines 0 to 27, what is used most first. */
export const bcm2837Functions: readonly (readonly string[])[] = [
  ['I2C0 SDA'],
  ['I2C0 SCL'],
  ['I2C1 SDA'],
  ['I2C1 SCL'],
  ['1-Wire', 'GPCLK0'],
  ['GPCLK1'],
  ['GPCLK2'],
  ['SPI0 CE1'],
  ['SPI0 CE0'],
  ['SPI0 MISO'],
  ['SPI0 MOSI'],
  ['SPI0 SCLK'],
  ['PWM0'],
  ['PWM1'],
  ['UART0 TXD', 'UART1 TXD'],
  ['UART0 RXD', 'UART1 RXD'],
  ['SPI1 CE2', 'UART0 CTS', 'UART1 CTS'],
  ['SPI1 CE1', 'UART0 RTS', 'UART1 RTS'],
  ['PWM0', 'PCM CLK', 'SPI1 CE0'],
  ['PWM1', 'PCM FS', 'SPI1 MISO'],
  ['PCM DIN', 'SPI1 MOSI', 'GPCLK0'],
  ['PCM DOUT', 'SPI1 SCLK', 'GPCLK1'],
  ['SD1 CLK', 'JTAG TRST'],
  ['SD1 CMD', 'JTAG RTCK'],
  ['SD1 DAT0', 'JTAG TDO'],
  ['SD1 DAT1', 'JTAG TCK'],
  ['SD1 DAT2', 'JTAG TDI'],
  ['SD1 DAT3', 'JTAG TMS'],
]

/** The header's UART is the small one (UART1) unless Bluetooth is switched off; /dev/serial0 names it either way. */
const serialEnable =
  'add enable_uart=1 to /boot/firmware/config.txt, take console=serial0,115200 out of /boot/firmware/cmdline.txt, and restart'

export const bcm2837Buses: readonly BoardBus[] = [
  {
    id: 'i2c-1',
    kind: 'i2c',
    device: '3f804000.i2c',
    path: '/dev/i2c-1',
    pins: [3, 5],
    enable: i2cEnable,
  },
  {
    id: 'spi-0.0',
    kind: 'spi',
    device: '3f204000.spi',
    path: '/dev/spidev0.0',
    pins: [19, 21, 23, 24],
    enable: spiEnable,
  },
  {
    id: 'spi-0.1',
    kind: 'spi',
    device: '3f204000.spi',
    path: '/dev/spidev0.1',
    pins: [19, 21, 23, 26],
    enable: spiEnable,
  },
  {
    id: 'spi-1.0',
    kind: 'spi',
    device: '3f215080.spi',
    path: '/dev/spidev1.0',
    pins: [38, 35, 40, 12],
    enable: configTxt('dtoverlay=spi1-1cs'),
  },
  {
    id: 'uart-0',
    kind: 'serial',
    device: '3f215040.serial',
    path: '/dev/serial0',
    pins: [8, 10],
    enable: serialEnable,
  },
  { id: 'w1-0', kind: 'one-wire', pins: [7], enable: oneWireEnable },
]

const onGpio12And13 = configTxt('dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4')
const onGpio18And19 = configTxt('dtoverlay=pwm-2chan')

/** Two channels, each on one of two pins. */
export const bcm2837Pwm: readonly BoardPwm[] = [
  {
    pin: 32,
    device: '3f20c000.pwm',
    channel: 0,
    enable: onGpio12And13,
  },
  {
    pin: 33,
    device: '3f20c000.pwm',
    channel: 1,
    enable: onGpio12And13,
  },
  { pin: 12, device: '3f20c000.pwm', channel: 0, enable: onGpio18And19 },
  { pin: 35, device: '3f20c000.pwm', channel: 1, enable: onGpio18And19 },
]

/** `compatible` of the GPU: bcm2835-common.dtsi. */
export const videoCore4: BoardAccelerator = {
  id: 'gpu',
  name: 'VideoCore IV GPU',
  claim: 'none stated for inference',
  shownBy: ['brcm,bcm2835-v3d'],
  reachedBy: 'not-yet',
}

export const throttled = {
  kind: 'throttle',
  name: 'firmware',
  path: 'devices/platform/soc/soc:firmware/get_throttled',
} as const
