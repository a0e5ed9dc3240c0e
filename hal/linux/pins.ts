/**
 * From the pin that a person writes to what it is on this board. A pin that must not be used is refused with what it is;
 * only a board without described headers takes lines by chip, since there nothing says which are free.
 */
import type { Board, BoardPwm, HeaderPin } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { PinRef } from '../contract/io.ts'
import type { GpioChips, GpioLine } from './gpio-chips.ts'

/** Number of a pin on the board's first header; names are unique on the board. Throws HalError `not-present`, `out-of-range`. */
export function headerPin(board: Board, pin: PinRef): HeaderPin & { readonly kind: 'gpio' } {
  const all = board.headers.flatMap((header) => header.pins)
  const first = board.headers[0]?.pins ?? []
  const number = typeof pin === 'number' || /^\d+$/.test(pin) ? Number(pin) : undefined
  const found =
    number === undefined
      ? all.find((candidate) => candidate.name === pin || isLine(candidate, pin))
      : first.find((candidate) => candidate.pin === number)
  if (!found) throw new HalError('not-present', `${pin} is no pin of ${board.name}: ${offer(board)}`)
  const what = `pin ${found.pin} (${found.name}) of ${board.name}`
  if (found.kind !== 'gpio')
    throw new HalError('out-of-range', `${what} is ${said(found)}, it is neither input nor output`)
  if (found.reserved !== undefined)
    throw new HalError('out-of-range', `${what} is reserved: ${found.reserved}`)
  return found
}

/** The line behind a pin. Throws HalError as `headerPin`, or when the kernel has no such line. */
export function lineOfPin(board: Board, chips: GpioChips, pin: PinRef): GpioLine {
  if (board.headers.length === 0) {
    if (typeof pin === 'string' && !/^\d+$/.test(pin)) return chips.findText(pin)
    throw new HalError(
      'not-present',
      `pin ${pin}: the headers of ${board.name} are not known; name a line as <chip>/<line name> or <chip>#<offset>`,
    )
  }
  const { name, chip, line, offset } = headerPin(board, pin)
  return chips.find({ chip, line, offset, name })
}

/** The PWM channel behind a pin. Throws HalError `unsupported` naming the pins that have one. */
export function pwmOfPin(board: Board, pin: PinRef): { readonly pwm: BoardPwm; readonly name: string } {
  const at = headerPin(board, pin)
  const pwm = board.pwm.find((candidate) => candidate.pin === at.pin)
  if (pwm) return { pwm, name: at.name }
  const pins = board.pwm.map((candidate) => candidate.pin).join(', ')
  const others = pins === '' ? `${board.name} has none` : `those are pins ${pins}`
  throw new HalError('unsupported', `pin ${at.pin} (${at.name}) has no hardware PWM: ${others}`)
}

const isLine = (pin: HeaderPin, name: PinRef) => pin.kind === 'gpio' && pin.line === name

function said(pin: Exclude<HeaderPin, { kind: 'gpio' }>): string {
  if (pin.kind === 'power') return `a ${pin.volts} V supply`
  return pin.kind === 'ground' ? 'ground' : 'not connected'
}

function offer(board: Board): string {
  const first = board.headers[0]?.pins ?? []
  const free = first.filter((pin) => pin.kind === 'gpio' && pin.reserved === undefined)
  const numbers = free.map(({ pin }) => pin)
  return `${board.headers[0]?.name ?? 'its header'} offers pins ${numbers.join(', ')}, or names such as ${free[0]?.name}`
}
