/**
 * What each call of the context takes, and values and errors in words. It runs inside the machine, beside `guest.ts`, before the agent: a wrong argument is
 * an error where it was written, which says what would be right.
 */
import type { CallErrorCode, Duration, Priority } from '../contract.ts'
import type { CallError, CallOp } from '../turn.ts'

const { create, hasOwn, keys } = Object
const { isFinite: isFiniteNumber, isSafeInteger } = Number
const { isArray } = Array
const { stringify } = JSON

interface Shape {
  readonly what: string
  fits(value: unknown): boolean
  readonly optional?: true
}
type Shapes = { readonly [name: string]: Shape }

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !isArray(value)
export const isText = (value: unknown) => typeof value === 'string'
export const isCount = (value: unknown) => isSafeInteger(value) && (value as number) >= 0
const isList = (value: unknown, fits: (item: unknown) => boolean) => {
  if (!isArray(value)) return false
  for (let at = 0; at < value.length; at += 1) if (!fits(value[at])) return false
  return true
}

const anything: Shape = { what: 'what JSON can say', fits: () => true }
const text: Shape = { what: 'a text', fits: isText }
const texts: Shape = { what: 'a list of texts', fits: (value) => isList(value, isText) }
const number: Shape = { what: 'a number', fits: isFiniteNumber }
const count: Shape = { what: 'a whole number from 0', fits: isCount }
const record: Shape = { what: 'an object', fits: isRecord }
const maybe = (shape: Shape): Shape => ({ ...shape, optional: true })
const oneOf = (...names: string[]): Shape => ({
  what: `one of ${names.join(', ')}`,
  fits: (value) => names.some((name) => name === value),
})
const fields = (shapes: Shapes): Shape => ({
  what: `an object of ${keys(shapes).join(', ')}`,
  fits: (value) => isRecord(value) && wrongOf(value, shapes) === undefined,
})

const state: Shape = {
  what: 'a text, or a list of texts',
  fits: (value) => isText(value) || texts.fits(value),
}
const filter = fields({ to: maybe(state), from: maybe(state), area: maybe(text) })
const privacy = maybe(oneOf('device', 'site', 'cloud'))
const deadlineMs = maybe(number)
const decision = { subject: text, quorum: maybe(count), deadlineMs }
const tensor = fields({ name: text, datatype: text, shape: anything, data: anything })
const about = maybe(text)

/** What each call takes, as JSON keeps it. */
export const shapes: { readonly [op in CallOp]: Shapes } = {
  sleep: { atMs: number },
  cron: { cron: text, timezone: maybe(text) },
  on: { pattern: text, filter },
  entities: { pattern: text },
  read: { entity: text },
  command: {
    entity: text,
    command: record,
    request: maybe(text),
    lease: maybe(fields({ name: text, token: count })),
    expires: maybe(fields({ afterMs: number, to: record })),
    deadlineMs,
  },
  until: { entity: text, filter, deadlineMs },
  infer: {
    model: text,
    inputs: { what: 'a list of tensors', fits: (value) => isList(value, tensor.fits) },
    privacy,
    deadlineMs,
  },
  think: {
    goal: text,
    tools: maybe(texts),
    schema: maybe(record),
    privacy,
    budget: maybe(fields({ tokens: maybe(count), steps: maybe(count) })),
    deadlineMs,
  },
  // Only a model asks for it, in a thought.
  tool: { server: text, tool: text, arguments: record, privacy, deadlineMs },
  ask: { question: text, choices: maybe(texts), deadlineMs },
  call: { agent: text, message: anything, deadlineMs },
  calls: {},
  reply: { key: text, answer: anything },
  'memory.get': { key: text },
  'memory.set': { key: text, value: anything, privacy, about },
  'memory.delete': { key: text },
  'memory.keys': { prefix: text },
  'memory.note': { text, privacy, about },
  'memory.search': { text, most: maybe(count) },
  'memory.forget': { about: text },
  'board.get': { key: text },
  'board.set': { key: text, value: anything, version: maybe(count), ttlMs: maybe(number) },
  'board.delete': { key: text },
  'board.watch': { pattern: text },
  'decide.auction': {
    ...decision,
    price: maybe(oneOf('first', 'second')),
    bid: maybe(number),
    reason: maybe(text),
  },
  'decide.contract-net': { ...decision, task: anything },
  'decide.vote': {
    ...decision,
    choices: texts,
    rule: maybe(oneOf('majority', 'weighted', 'ranked')),
    mine: maybe(texts),
  },
  'decide.agree': { ...decision, value: anything, faulty: maybe(count) },
  lease: { name: text, ttlMs: number, deadlineMs },
  release: { name: text, token: number },
}

/** What is wrong with it, in words; undefined where nothing is. What is undefined was not given. */
export function wrongOf(args: Record<string, unknown>, expected: Shapes): string | undefined {
  for (const name of keys(args)) if (!hasOwn(expected, name)) return `nothing is called ${name} here`
  for (const name of keys(expected)) {
    const { what, fits, optional } = expected[name] as Shape
    const value = hasOwn(args, name) ? args[name] : undefined
    if (value === undefined) {
      if (!optional) return `${name} is missing: ${what}`
    } else if (!fits(value)) return `${name} is ${kindOf(value)}, not ${what}`
  }
  return undefined
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

export class CallFailed extends Error {
  readonly code: CallErrorCode
  constructor({ code, message }: CallError) {
    super(message)
    this.name = 'CallFailed'
    this.code = code
  }
}

export const failure = (code: CallErrorCode, message: string) => new CallFailed({ code, message })

/** Options may be left out; what else is no object is an error, not no options. */
export function given<T extends object>(options: T | undefined): Partial<T> {
  if (options === undefined) return {}
  if (!isRecord(options)) throw failure('bad-request', `options are an object, not ${kindOf(options)}`)
  return options
}

const units: Record<string, number> = create(null)
units['ms'] = 1
units['s'] = 1e3
units['m'] = 60e3
units['h'] = 3_600e3
units['d'] = 86_400e3

export function millis(duration: Duration): number {
  const written =
    typeof duration === 'number' || typeof duration === 'string' ? `${duration}` : kindOf(duration)
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(written) ?? []
  const ms = amount === undefined ? Number.NaN : +amount * (units[unit ?? 'ms'] ?? Number.NaN)
  if (!isFiniteNumber(ms))
    throw failure(
      'bad-request',
      `not a duration: ${written.slice(0, 40)}; write 500, '30s', '5m', '2h' or '1d'`,
    )
  return ms
}

const duration: Shape = { what: 'a duration', fits: (value) => isFiniteNumber(value) || isText(value) }
const classes: readonly Priority[] = ['control', 'interactive', 'background']
/** The least urgent of two; undefined: as the agent has it. */
export function lowest(one: Priority | undefined, other: Priority | undefined): Priority | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return classes.indexOf(one) < classes.indexOf(other) ? other : one
}

export const taskShapes: Shapes = {
  run: { what: 'a function', fits: (value) => typeof value === 'function' },
  after: maybe(texts),
  priority: maybe(oneOf(...classes)),
  within: maybe(duration),
  retry: maybe(fields({ times: count, wait: maybe(duration) })),
}
export const tasksShapes: Shapes = {
  within: maybe(duration),
  failFast: maybe({ what: 'true or false', fits: (value) => typeof value === 'boolean' }),
}

/** A value in words, for the log: JSON where that can say it. */
export function textOf(value: unknown): string {
  try {
    if (value instanceof Error) return `${value.name}: ${value.message}`
    return stringify(value) ?? `${value as string}`
  } catch {
    return 'a value that cannot be shown'
  }
}

/** Where in the program it was thrown; nothing where it tells that in no way of use. */
export function placeOf(error: unknown): string {
  try {
    const { stack } = error as { readonly stack?: unknown }
    if (typeof stack !== 'string') return ''
    const own = stack.split('\n').filter((line) => line !== '' && !line.includes('ganglion:guest'))
    return own.length === 0 ? '' : `\n${own.join('\n')}`
  } catch {
    return ''
  }
}
