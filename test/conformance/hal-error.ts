/** For suites: what was refused, as the HAL says it. */
import { expect } from 'vitest'
import { HalError } from '../../hal/contract/errors.ts'

/** The HalError that `act` throws, in one line; anything else fails the test. */
export function halError(act: () => unknown): HalError {
  try {
    act()
  } catch (error) {
    if (!(error instanceof HalError)) throw error
    expect(error.message).not.toContain('\n')
    return error
  }
  throw new Error('it was not refused')
}
