/**
 * The 40-pin header that Raspberry Pi drew up and others copied: two columns, odd pins left, power and ground at these places
 * on every board that has it. Source: Raspberry Pi, "GPIO and the 40-pin header",
 * https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#gpio
 */
import type { Header, HeaderPin } from '../../hal/contract/board.ts'

type GpioPin = Extract<HeaderPin, { kind: 'gpio' }>
type OtherPin = Exclude<HeaderPin, { kind: 'gpio' }>

const power = (name: string, volts: number) => (pin: number) => ({ pin, kind: 'power' as const, name, volts })
const v33 = power('3V3', 3.3)
const v5 = power('5V', 5)
const ground = (pin: number) => ({ pin, kind: 'ground' as const, name: 'GND' })

const fixed: ReadonlyMap<number, OtherPin> = new Map(
  [v33(1), v33(17), v5(2), v5(4), ...[6, 9, 14, 20, 25, 30, 34, 39].map(ground)].map((pin) => [pin.pin, pin]),
)

/**
 * A 40-pin header, or the first rows of one: power and ground as everywhere, `lines` on the rest; pins that `lines` leaves out
 * are no GPIO.
 */
export function fortyPinHeader(name: string, lines: readonly GpioPin[], length: 26 | 40 = 40): Header {
  const byPin = new Map(lines.map((line) => [line.pin, line]))
  const pins = Array.from({ length }, (_, index): HeaderPin => {
    const pin = index + 1
    return fixed.get(pin) ?? byPin.get(pin) ?? { pin, kind: 'unconnected', name: 'not GPIO' }
  })
  return { name, columns: 2, pins }
}
