/**
 * Reading a home file piece by piece: a node knows its path, so that every refusal is one line such as
 * `home.yaml: entities[3].area: no area "attic"`. All refusals are HalError `malformed`.
 */
import type { Json } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import { homeLimits } from './home-limits.ts'

export class HomeNode {
  readonly #file: string
  readonly path: string
  readonly value: unknown

  constructor(file: string, path: string, value: unknown) {
    this.#file = file
    this.path = path
    this.value = value
  }

  refuse(why: string): never {
    throw new HalError('malformed', `${this.#file}: ${this.path ? `${this.path}: ` : ''}${why}`)
  }

  /** True when the file says nothing here. */
  get absent(): boolean {
    return this.value === undefined || this.value === null
  }

  child(field: string): HomeNode {
    const map = this.value
    const value = isMap(map) && Object.hasOwn(map, field) ? map[field] : undefined
    return new HomeNode(this.#file, this.path ? `${this.path}.${field}` : field, value)
  }

  /** The entries of a list; none when absent. */
  list(lengthMax: number): HomeNode[] {
    if (this.absent) return []
    if (!Array.isArray(this.value)) return this.refuse('must be a list')
    if (this.value.length > lengthMax)
      this.refuse(`${this.value.length} entries, more than the ${lengthMax} allowed`)
    return this.value.map((value, index) => new HomeNode(this.#file, `${this.path}[${index}]`, value))
  }

  /** The names in a map; none when absent. */
  keys(countMax: number): string[] {
    if (this.absent) return []
    if (!isMap(this.value)) return this.refuse('must be a map of names and values')
    const keys = Object.keys(this.value)
    if (keys.length > countMax) this.refuse(`${keys.length} entries, more than the ${countMax} allowed`)
    return keys
  }

  text(): string {
    return this.optionalText() ?? this.refuse('is missing')
  }

  /** A text, or a number or flag written without quotes. */
  optionalText(): string | undefined {
    if (this.absent) return undefined
    const { value } = this
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      return this.refuse('must be a text')
    const text = String(value)
    if (text.length === 0 || text.length > homeLimits.textMax)
      this.refuse(`must have 1 to ${homeLimits.textMax} characters`)
    return text
  }

  /** A plain JSON value of bounded depth. */
  json(depth = 0): Json {
    const { value } = this
    if (depth > homeLimits.depthMax) this.refuse(`nested deeper than ${homeLimits.depthMax}`)
    if (value === null || value === undefined) return null
    if (typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value === 'number' && Number.isFinite(value)) return value
    if (Array.isArray(value)) return this.list(homeLimits.entitiesMax).map((item) => item.json(depth + 1))
    if (!isMap(value)) return this.refuse('must be a text, number, flag, list or map')
    const names = this.keys(homeLimits.attributesMax)
    return Object.fromEntries(names.map((name) => [name, this.child(name).json(depth + 1)]))
  }
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
