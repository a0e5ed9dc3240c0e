/**
 * Which line of the board a configuration means by a pin, and who has taken it. A pin is a header pin's number, its name
 * there or its kernel line name, or `<provider>:<pin>`; on a board without a described header `<chip>/<line name>` or
 * `<chip>#<offset>`. That a name and an offset are one line only the kernel knows: it refuses the second (`busy`).
 */
import type { Board, HeaderPin } from '../contract/board.ts'
import type { PinRule, ProviderDriver } from '../contract/driver.ts'
import type { PinRef } from '../contract/io.ts'
import { ledPrefix } from '../drivers/provider-registry.ts'
import { didYouMean } from './nearest.ts'

export type Use = PinRule['use']

export interface Line {
  /** Unique on the device, however it was written. */
  readonly key: string
  /** For a person: `pin 11`. */
  readonly label: string
}

export type Found = { readonly line: Line } | { readonly problem: string }

/** Looks a pin of the board up. `problem` continues a sentence that names the place. */
export function boardLine(board: Board, pin: PinRef, use: Use): Found {
  const pins = board.headers.flatMap((header) => header.pins)
  if (String(pin).startsWith(`${ledPrefix}:`)) return boardLed(String(pin), use)
  if (pins.length === 0) return lineWithoutHeader(board, pin, use)
  const found = pins.find((candidate) => isMeant(candidate, pin))
  if (!found) return { problem: notThere(board, pins, pin) }
  if (found.kind !== 'gpio') return { problem: `pin ${found.pin} is ${describe(found)}, not a GPIO` }
  if (found.reserved !== undefined)
    return { problem: `pin ${found.pin} (${found.name}) is reserved: ${found.reserved}` }
  if (use === 'pwm' && !board.pwm.some((pwm) => pwm.pin === found.pin))
    return { problem: `pin ${found.pin} (${found.name}) has no PWM; ${pwmPins(board)}` }
  return { line: { key: `pin ${found.pin}`, label: `pin ${found.pin}` } }
}

/** A pin of an attached expander, PWM chip or converter. */
export function providerLine(provider: string, pin: string, driver: ProviderDriver, use: Use): Found {
  const kinds = use === 'pwm' ? ['pwm'] : use === 'output' ? ['digital'] : ['digital', 'analog']
  const offered = driver.provides.filter((offer) => kinds.includes(offer.use))
  if (offered.length === 0)
    return {
      problem: `${provider}:${pin}: ${driver.id} has no pins for ${use === 'pwm' ? 'PWM' : `an ${use}`}`,
    }
  const count = Math.max(...offered.map(({ pins }) => pins))
  if (!/^\d+$/.test(pin) || Number(pin) >= count)
    return { problem: `${provider}:${pin}: ${driver.id} has the pins 0 to ${count - 1}` }
  return { line: { key: `${provider}:${Number(pin)}`, label: `pin ${provider}:${Number(pin)}` } }
}

/** One name for every way to write a pin of this board. */
export function canonicalPin(board: Board, pin: PinRef): string {
  const found = board.headers.flatMap((header) => header.pins).find((candidate) => isMeant(candidate, pin))
  return found ? `pin ${found.pin}` : String(pin)
}

function isMeant(candidate: HeaderPin, pin: PinRef): boolean {
  if (typeof pin === 'number') return candidate.pin === pin
  return candidate.name === pin || (candidate.kind === 'gpio' && candidate.line === pin)
}

/** The kernel knows which LEDs there are; opening one that is not there says which are. */
function boardLed(pin: string, use: Use): Found {
  if (pin.length === ledPrefix.length + 1)
    return { problem: `"${pin}" names no LED: led:<name>, as in /sys/class/leds` }
  if (use === 'input') return { problem: `${pin} is an LED: it shows something, and can be no input` }
  return { line: { key: pin, label: pin } }
}

function lineWithoutHeader(board: Board, pin: PinRef, use: Use): Found {
  if (typeof pin === 'number')
    return {
      problem: `${board.name} has no known header: write <chip>/<line name> or <chip>#<offset>, not ${pin}`,
    }
  if (use === 'pwm') return { problem: `${board.name} has no known PWM` }
  const [, chip, name, offset] = /^([^/#]+)(?:\/(.+)|#(\d+))$/.exec(pin) ?? []
  if (chip === undefined)
    return {
      problem: `${board.name} has no known header: "${pin}" names no line; write <chip>/<line name> or <chip>#<offset>`,
    }
  const line = name === undefined ? `${chip}#${Number(offset)}` : pin
  return { line: { key: `line ${line}`, label: `line ${line}` } }
}

function notThere(board: Board, pins: readonly HeaderPin[], pin: PinRef): string {
  const names = pins.flatMap((candidate) => (candidate.kind === 'gpio' ? [candidate.name] : []))
  const last = Math.max(...pins.map((candidate) => candidate.pin))
  return typeof pin === 'number'
    ? `${board.name} has no pin ${pin}: its header goes to ${last}`
    : `${board.name} has no pin "${pin}"${didYouMean(pin, names)}`
}

function describe(pin: Exclude<HeaderPin, { kind: 'gpio' }>): string {
  if (pin.kind === 'power') return `${pin.name}, ${pin.volts} V power`
  return pin.kind === 'ground' ? 'ground' : 'not connected'
}

function pwmPins(board: Board): string {
  const pins = [...new Set(board.pwm.map(({ pin }) => pin))].sort((a, b) => a - b)
  if (pins.length === 0) return `${board.name} has no PWM on its header`
  return `those that have: ${pins.join(', ')}`
}

/** Lines and addresses that are taken, and by which place of the configuration. */
export class Taken {
  readonly #holders = new Map<string, string>()

  /** Who had it before; undefined when it was free and is now `holder`'s. */
  take(key: string, holder: string): string | undefined {
    const before = this.#holders.get(key)
    if (before === undefined) this.#holders.set(key, holder)
    return before
  }
}
