/**
 * A pin header as a person sees it on the board, drawn to fit 80 columns: pins in their places, what each is called, and what
 * it can be or what has it. Plain text first; `style` colours whole cells, so widths are the same with and without.
 */
import type { Header, HeaderPin } from '../../hal/contract/board.ts'
import type { Terminal } from './terminal.ts'

/** Who uses a pin: number of the pin to the id of the part. */
export type PinUses = ReadonlyMap<number, string>

type Style = Terminal['style']
const plain: Style = (_style, text) => text

/** Cells beside the two pin numbers and the bar between them. */
const cellWidth = 35

export function headerTable(header: Header, uses: PinUses = new Map(), style: Style = plain): string[] {
  const rows: string[] = []
  for (let index = 0; index < header.pins.length; index += header.columns) {
    const [left, right] = header.pins.slice(index, index + header.columns)
    if (left) rows.push(header.columns === 1 ? single(left, uses, style) : row(left, right, uses, style))
  }
  return rows
}

function row(left: HeaderPin, right: HeaderPin | undefined, uses: PinUses, style: Style): string {
  const cell = cellOf(left, uses, cellWidth).padStart(cellWidth)
  const numbers = `${String(left.pin).padStart(2)} │ ${right ? String(right.pin).padEnd(2) : '  '}`
  const start = `${style(colourOf(left, uses), cell)} ${numbers}`
  if (!right) return start
  return `${start} ${style(colourOf(right, uses), cellOf(right, uses, cellWidth, 'name first'))}`
}

function single(pin: HeaderPin, uses: PinUses, style: Style): string {
  return `${String(pin.pin).padStart(3)} │ ${style(colourOf(pin, uses), cellOf(pin, uses, 2 * cellWidth, 'name first'))}`
}

function cellOf(pin: HeaderPin, uses: PinUses, width: number, order?: 'name first'): string {
  const note = noteOf(pin, uses)
  const room = width - pin.name.length - 2
  const shown = note.length > room ? `${note.slice(0, room - 1)}…` : note
  if (shown === '') return pin.name
  return order === 'name first' ? `${pin.name}  ${shown}` : `${shown}  ${pin.name}`
}

function noteOf(pin: HeaderPin, uses: PinUses): string {
  if (pin.kind !== 'gpio') return ''
  const user = uses.get(pin.pin)
  if (user !== undefined) return `← ${user}`
  const functions = pin.functions.filter((name) => name !== pin.name.replace('_', ' '))
  return pin.reserved ?? functions.join(', ')
}

function colourOf(pin: HeaderPin, uses: PinUses): Parameters<Style>[0] {
  if (uses.has(pin.pin)) return 'green'
  if (pin.kind === 'power') return 'red'
  return pin.kind === 'gpio' && pin.reserved === undefined ? 'reset' : 'dim'
}
