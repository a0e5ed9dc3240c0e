/** Which chip a pin is on, so that lines of one chip can be requested and written together. */
import type { Board } from '../contract/board.ts'
import type { PinRef } from '../contract/io.ts'
import { providerPin } from '../drivers/provider-registry.ts'

/**
 * Label of the gpiochip, or the provider's id. A pin that the board does not know is on a chip of its own: its line can
 * only be written by itself.
 */
export function chipOf(pin: PinRef, board: Board | undefined): string {
  const provided = providerPin(pin)
  if (provided) return `provider ${provided.id}`
  for (const header of board?.headers ?? [])
    for (const at of header.pins)
      if (at.kind === 'gpio' && (at.pin === pin || at.name === pin || at.line === pin)) return at.chip
  return `pin ${pin}`
}
