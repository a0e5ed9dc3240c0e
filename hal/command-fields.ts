/**
 * Reads the fields of a command. Every refusal is a HalError with one line that names device and field: `unsupported`
 * for a field the kind does not have, `malformed` for a wrong type, `out-of-range` for a value outside its limits.
 */
import type { Command } from './contract/actuator.ts'
import type { Json } from './contract/component.ts'
import { HalError, type HalErrorCode } from './contract/errors.ts'

export class CommandFields {
  readonly #id: string
  readonly #command: Command

  constructor(id: string, command: Command, known: readonly string[]) {
    this.#id = id
    this.#command = command
    const given = Object.keys(command)
    if (given.length === 0) throw new HalError('malformed', `${id}: empty command, give ${known.join(', ')}`)
    for (const field of given) {
      if (!known.includes(field))
        this.refuse('unsupported', field, `unknown field, known are ${known.join(', ')}`)
    }
  }

  has(field: string): boolean {
    return this.#command[field] !== undefined
  }

  refuse(code: HalErrorCode, field: string, why: string): never {
    throw new HalError(code, `${this.#id}: ${field}: ${why}`)
  }

  /** Refuses the field when it is given and the device does not offer it. */
  needs(field: string, offered: boolean, feature: string): void {
    if (this.has(field) && !offered) this.refuse('unsupported', field, `this device has no ${feature}`)
  }

  oneOf<T extends string>(field: string, values: readonly T[]): T | undefined {
    const value = this.text(field)
    if (value === undefined) return undefined
    const found = values.find((candidate) => candidate === value)
    return found ?? this.refuse('out-of-range', field, `${show(value)} is not one of ${values.join(', ')}`)
  }

  text(field: string, lengthMax = 255): string | undefined {
    const value = this.#command[field]
    if (value === undefined) return undefined
    if (typeof value !== 'string') return this.refuse('malformed', field, `${show(value)} is not a text`)
    if (value.length === 0 || value.length > lengthMax)
      return this.refuse('out-of-range', field, `must have 1 to ${lengthMax} characters`)
    return value
  }

  flag(field: string): boolean | undefined {
    const value = this.#command[field]
    if (value === undefined || typeof value === 'boolean') return value
    return this.refuse('malformed', field, `${show(value)} is not true or false`)
  }

  number(field: string, min: number, max: number, unit = ''): number | undefined {
    const value = this.#command[field]
    if (value === undefined) return undefined
    return this.#inRange(field, value, min, max, unit)
  }

  /** A number that the hardware takes in whole steps; rounded to the nearest. */
  whole(field: string, min: number, max: number): number | undefined {
    const value = this.number(field, min, max)
    return value === undefined ? undefined : Math.round(value)
  }

  /** `[r, g, b]`, each 0 to 255. */
  rgb(field: string): [number, number, number] | undefined {
    const value = this.#command[field]
    if (value === undefined) return undefined
    if (!Array.isArray(value) || value.length !== 3)
      return this.refuse('malformed', field, `${show(value)} is not [red, green, blue]`)
    const [r, g, b] = value.map((part) => Math.round(this.#inRange(field, part, 0, 255, '')))
    return [r ?? 0, g ?? 0, b ?? 0]
  }

  #inRange(field: string, value: Json, min: number, max: number, unit: string): number {
    if (typeof value !== 'number' || !Number.isFinite(value))
      return this.refuse('malformed', field, `${show(value)} is not a number`)
    if (value < min || value > max)
      return this.refuse('out-of-range', field, `${value}${unit} is not between ${min} and ${max}${unit}`)
    return value
  }
}

/** A value as it may stand in an error line: short, on one line. */
function show(value: Json): string {
  const text = JSON.stringify(value)
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}
