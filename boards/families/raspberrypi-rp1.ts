/**
 * Raspberry Pi 5 and Compute Module 5: the header hangs on the RP1. Sources: alternate functions:
 * https://github.com/raspberrypi/linux/blob/rpi-6.12.y/drivers/pinctrl/pinctrl-rp1.c and
 * https://github.com/raspberrypi/utils/blob/master/pinctrl/gpiochip_rp1.c; addresses and default pins:
 * https://github.com/raspberrypi/linux/blob/rpi-6.12.y/arch/arm64/boot/dts/broadcom/rp1.dtsi and bcm2712-rpi.dtsi (the RP1's
 * 0xc0_40… is 0x1f_00… to the processor); what enables a bus: the overlays' README there.
 */
import type { BoardAccelerator, BoardBus, BoardPwm, PowerTelemetry } from '../../hal/contract/board.ts'
import { configTxt, i2cEnable, oneWireEnable, spiEnable } from './raspberrypi-header.ts'

export const rp1Chip = 'pinctrl-rp1'

/** Of the lines 0 to 27, what is used most first. `PWM0.2` is channel 2 of PWM0. */
export const rp1Functions: readonly (readonly string[])[] = [
  ['I2C0 SDA', 'UART1 TXD', 'SPI0', 'SPI2'],
  ['I2C0 SCL', 'UART1 RXD', 'SPI0', 'SPI2'],
  ['I2C1 SDA', 'UART1 CTS', 'SPI0', 'SPI2'],
  ['I2C1 SCL', 'UART1 RTS', 'SPI0', 'SPI2'],
  ['1-Wire', 'I2C2 SDA', 'UART2 TXD', 'GPCLK0', 'SPI3'],
  ['I2C2 SCL', 'UART2 RXD', 'GPCLK1', 'SPI3'],
  ['I2C3 SDA', 'UART2 CTS', 'GPCLK2', 'SPI3'],
  ['SPI0 CE1', 'I2C3 SCL', 'UART2 RTS', 'SPI3'],
  ['SPI0 CE0', 'UART3 TXD', 'I2C0 SDA', 'SPI4'],
  ['SPI0 MISO', 'UART3 RXD', 'I2C0 SCL', 'SPI4'],
  ['SPI0 MOSI', 'UART3 CTS', 'I2C1 SDA', 'SPI4'],
  ['SPI0 SCLK', 'UART3 RTS', 'I2C1 SCL', 'SPI4'],
  ['PWM0.0', 'UART4 TXD', 'I2C2 SDA', 'SPI5'],
  ['PWM0.1', 'UART4 RXD', 'I2C2 SCL', 'SPI5'],
  ['UART0 TXD', 'PWM0.2', 'UART4 CTS', 'I2C3 SDA', 'SPI5'],
  ['UART0 RXD', 'PWM0.3', 'UART4 RTS', 'I2C3 SCL', 'SPI5'],
  ['SPI1 CE2', 'UART0 CTS'],
  ['SPI1 CE1', 'UART0 RTS'],
  ['PWM0.2', 'SPI1 CE0', 'I2S SCLK', 'GPCLK1'],
  ['PWM0.3', 'SPI1 MISO', 'I2S WS'],
  ['SPI1 MOSI', 'I2S SDI0', 'GPCLK0'],
  ['SPI1 SCLK', 'I2S SDO0', 'GPCLK1'],
  ['I2C3 SDA', 'SD0 CLK', 'I2S SDI1'],
  ['I2C3 SCL', 'SD0 CMD', 'I2S SDO1'],
  ['SD0 DAT0', 'I2S SDI2', 'SPI2'],
  ['SD0 DAT1', 'I2S SDO2', 'SPI3'],
  ['SD0 DAT2', 'I2S SDI3', 'SPI5'],
  ['SD0 DAT3', 'I2S SDO3', 'SPI1'],
]

export const rp1Buses: readonly BoardBus[] = [
  {
    id: 'i2c-1',
    kind: 'i2c',
    device: '1f00074000.i2c',
    path: '/dev/i2c-1',
    pins: [3, 5],
    enable: i2cEnable,
  },
  {
    id: 'i2c-2',
    kind: 'i2c',
    device: '1f00078000.i2c',
    path: '/dev/i2c-2',
    pins: [7, 29],
    enable: configTxt('dtoverlay=i2c2-pi5,pins_4_5'),
  },
  {
    id: 'i2c-3',
    kind: 'i2c',
    device: '1f0007c000.i2c',
    path: '/dev/i2c-3',
    pins: [31, 26],
    enable: configTxt('dtoverlay=i2c3-pi5,pins_6_7'),
  },
  {
    id: 'spi-0.0',
    kind: 'spi',
    device: '1f00050000.spi',
    path: '/dev/spidev0.0',
    pins: [19, 21, 23, 24],
    enable: spiEnable,
  },
  {
    id: 'spi-0.1',
    kind: 'spi',
    device: '1f00050000.spi',
    path: '/dev/spidev0.1',
    pins: [19, 21, 23, 26],
    enable: spiEnable,
  },
  {
    id: 'spi-1.0',
    kind: 'spi',
    device: '1f00054000.spi',
    path: '/dev/spidev1.0',
    pins: [38, 35, 40, 12],
    enable: configTxt('dtoverlay=spi1-1cs'),
  },
  {
    id: 'uart-0',
    kind: 'serial',
    device: '1f00030000.serial',
    path: '/dev/ttyAMA0',
    pins: [8, 10],
    enable: configTxt('dtparam=uart0=on'),
  },
  {
    id: 'uart-2',
    kind: 'serial',
    device: '1f00038000.serial',
    path: '/dev/ttyAMA2',
    pins: [7, 29],
    enable: configTxt('dtoverlay=uart2-pi5'),
  },
  {
    id: 'uart-3',
    kind: 'serial',
    device: '1f0003c000.serial',
    path: '/dev/ttyAMA3',
    pins: [24, 21],
    enable: configTxt('dtoverlay=uart3-pi5'),
  },
  {
    id: 'uart-4',
    kind: 'serial',
    device: '1f00040000.serial',
    path: '/dev/ttyAMA4',
    pins: [32, 33],
    enable: configTxt('dtoverlay=uart4-pi5'),
  },
  { id: 'w1-0', kind: 'one-wire', pins: [7], enable: oneWireEnable },
]

const onGpio12And13 = configTxt('dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4')
const onGpio18And19 = configTxt('dtoverlay=pwm-2chan')
const pwm0 = '1f00098000.pwm'

/** PWM0 of the RP1; its PWM1 (1f0009c000) turns the fan. */
export const rp1Pwm: readonly BoardPwm[] = [
  {
    pin: 32,
    device: pwm0,
    channel: 0,
    enable: onGpio12And13,
  },
  {
    pin: 33,
    device: pwm0,
    channel: 1,
    enable: onGpio12And13,
  },
  { pin: 12, device: pwm0, channel: 2, enable: onGpio18And19 },
  { pin: 35, device: pwm0, channel: 3, enable: onGpio18And19 },
]

export const videoCore7: BoardAccelerator = {
  id: 'gpu',
  name: 'VideoCore VII GPU',
  claim: 'none stated for inference',
  shownBy: ['brcm,2712-v3d'],
  reachedBy: 'not-yet',
}

/** The firmware's node is called so in logs of the kernel; many kernels have no `get_throttled` there, or none at all. */
export const rp1BoardThrottled: PowerTelemetry = {
  kind: 'throttle',
  name: 'firmware',
  path: 'devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled',
}
