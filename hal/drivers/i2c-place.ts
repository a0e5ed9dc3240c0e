/** Opens the I2C target that a part's configuration names. */
import type { DriverContext } from '../contract/driver.ts'
import type { I2c } from '../contract/io.ts'

/** Address and bus are checked by whoever made `at`; a part without them is a programmer's mistake. */
export function openI2c({ io, at, id }: DriverContext): I2c {
  const { bus, address } = at
  if (bus === undefined || typeof address !== 'number') throw new Error(`${id} has no I2C bus and address`)
  return io.i2c({ bus, address })
}

export const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`

/** `i2c-1 address 0x48`, as messages name it. */
export function i2cPlace({ at }: DriverContext): string {
  return `${at.bus} address ${hex(Number(at.address))}`
}
