/** An `Io` whose pins `<provider>:<pin>` are those of attached parts; every other pin and every bus is the machine's. */
import type { Io } from '../contract/io.ts'
import type { ProviderRegistry } from '../drivers/provider-registry.ts'

export function withProviders(io: Io, providers: ProviderRegistry): Io {
  return {
    digital: (options) => providers.digital(options) ?? io.digital(options),
    digitalBank: (options) => providers.digitalBank(options) ?? io.digitalBank(options),
    pwm: (options) => providers.pwm(options) ?? io.pwm(options),
    analog: (options) => providers.analog(options) ?? io.analog(options),
    pulseCount: (options) => io.pulseCount(options),
    i2c: (options) => io.i2c(options),
    smbus: (options) => io.smbus(options),
    spi: (options) => io.spi(options),
    serial: (options) => io.serial(options),
    oneWire: (options) => io.oneWire(options),
  }
}
