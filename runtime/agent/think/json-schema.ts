/**
 * Whether a value is as a JSON schema says (https://json-schema.org/draft/2020-12), for answers of language models. Schemas come
 * from agents, so they are read here rather than compiled to code as validators for speed do; `pattern` is refused, since a
 * regular expression can run for ever. A keyword that is not known here is refused too: ignoring it would promise what is not held.
 */
import type { Json } from '../contract.ts'

type JsonObject = { readonly [key: string]: Json }
type Check = (
  expected: Json,
  value: Json,
  schema: JsonObject,
  path: string,
  depth: number,
) => string | undefined

const depthMax = 32
/** What a schema says about itself and demands nothing. */
const annotations = ['$schema', '$id', '$comment', 'title', 'description', 'examples', 'default']
const types = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value)
const same = (a: Json, b: Json): boolean => canonical(a) === canonical(b)

function canonical(value: Json): string {
  if (isList(value)) return `[${value.map(canonical).join()}]`
  if (!isObject(value)) return JSON.stringify(value)
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key] as Json)}`).join()}}`
}

function typeOf(value: Json): string {
  if (value === null) return 'null'
  if (isList(value)) return 'array'
  return typeof value
}

function isType(value: Json, type: Json): boolean {
  if (type === 'integer') return Number.isInteger(value)
  return typeOf(value) === type
}

const said = (path: string, what: string) => `${path === '' ? 'the answer' : path} ${what}`
const number =
  (
    measure: (value: Json) => number | undefined,
    holds: (is: number, wants: number) => boolean,
    what: string,
  ): Check =>
  (expected, value, _schema, path) => {
    const is = measure(value)
    return is === undefined || holds(is, Number(expected)) ? undefined : said(path, `${what} ${expected}`)
  }
const amount = (value: Json) => (typeof value === 'number' ? value : undefined)
const letters = (value: Json) => (typeof value === 'string' ? [...value].length : undefined)
const items = (value: Json) => (isList(value) ? value.length : undefined)
const fields = (value: Json) => (isObject(value) ? Object.keys(value).length : undefined)
const least = (is: number, wants: number) => is >= wants
const most = (is: number, wants: number) => is <= wants

const checks: Readonly<Record<string, Check>> = {
  type: (expected, value, _schema, path) => {
    const allowed = isList(expected) ? expected : [expected]
    return allowed.some((type) => isType(value, type))
      ? undefined
      : said(path, `is ${typeOf(value)}, not ${allowed.join(' or ')}`)
  },
  enum: (expected, value, _schema, path) =>
    (expected as readonly Json[]).some((one) => same(one, value))
      ? undefined
      : said(path, `is none of ${JSON.stringify(expected).slice(0, 200)}`),
  const: (expected, value, _schema, path) =>
    same(expected, value) ? undefined : said(path, `is not ${JSON.stringify(expected).slice(0, 200)}`),
  minimum: number(amount, least, 'is under'),
  maximum: number(amount, most, 'is over'),
  exclusiveMinimum: number(amount, (is, wants) => is > wants, 'is not over'),
  exclusiveMaximum: number(amount, (is, wants) => is < wants, 'is not under'),
  multipleOf: number(amount, (is, wants) => Number.isInteger(is / wants), 'is no multiple of'),
  minLength: number(letters, least, 'has fewer characters than'),
  maxLength: number(letters, most, 'has more characters than'),
  minItems: number(items, least, 'has fewer items than'),
  maxItems: number(items, most, 'has more items than'),
  minProperties: number(fields, least, 'has fewer fields than'),
  maxProperties: number(fields, most, 'has more fields than'),
  uniqueItems: (expected, value, _schema, path) =>
    expected === true && isList(value) && new Set(value.map(canonical)).size < value.length
      ? said(path, 'has an item twice')
      : undefined,
  items: (expected, value, _schema, path, depth) =>
    isList(value)
      ? firstOf(value.map((one, at) => () => fault(expected, one, `${path}[${at}]`, depth + 1)))
      : undefined,
  required: (expected, value, _schema, path) => {
    const missing =
      isObject(value) && (expected as readonly string[]).find((key) => !Object.hasOwn(value, key))
    return typeof missing === 'string' ? said(path, `has no ${JSON.stringify(missing)}`) : undefined
  },
  properties: (expected, value, _schema, path, depth) =>
    isObject(value)
      ? firstOf(
          Object.entries(expected as JsonObject).map(
            ([key, schema]) =>
              () =>
                Object.hasOwn(value, key)
                  ? fault(schema, value[key] as Json, `${path}.${key}`, depth + 1)
                  : undefined,
          ),
        )
      : undefined,
  additionalProperties: (expected, value, schema, path, depth) => {
    if (!isObject(value)) return undefined
    const known = isObject(schema['properties']) ? schema['properties'] : {}
    const more = Object.keys(value).filter((key) => !Object.hasOwn(known, key))
    return firstOf(more.map((key) => () => fault(expected, value[key] as Json, `${path}.${key}`, depth + 1)))
  },
  allOf: (expected, value, _schema, path, depth) =>
    firstOf((expected as readonly Json[]).map((one) => () => fault(one, value, path, depth + 1))),
  anyOf: (expected, value, _schema, path, depth) =>
    (expected as readonly Json[]).some((one) => fault(one, value, path, depth + 1) === undefined)
      ? undefined
      : said(path, 'is as none of anyOf says'),
  oneOf: (expected, value, _schema, path, depth) => {
    const fits = (expected as readonly Json[]).filter(
      (one) => fault(one, value, path, depth + 1) === undefined,
    )
    return fits.length === 1 ? undefined : said(path, `is as ${fits.length} of oneOf say`)
  },
  not: (expected, value, _schema, path, depth) =>
    fault(expected, value, path, depth + 1) === undefined ? said(path, 'is as not says') : undefined,
}

/** The first way in which `value` is not as `schema` says, in one line; undefined: it is. `schema` passed `schemaFault`. */
export function schemaMismatch(schema: Json, value: Json): string | undefined {
  return fault(schema, value, '', 0)
}

function fault(schema: Json, value: Json, path: string, depth: number): string | undefined {
  if (schema === false) return said(path, 'may not be there')
  if (!isObject(schema)) return undefined
  if (depth > depthMax) return said(path, `is nested deeper than ${depthMax}`)
  return firstOf(
    Object.entries(schema).map(
      ([key, expected]) =>
        () =>
          checks[key]?.(expected, value, schema, path, depth),
    ),
  )
}

function firstOf(all: readonly (() => string | undefined)[]): string | undefined {
  for (const one of all) {
    const found = one()
    if (found !== undefined) return found
  }
  return undefined
}

const schemasIn: Readonly<Record<string, (value: Json) => readonly Json[] | undefined>> = {
  items: (value) => [value],
  additionalProperties: (value) => [value],
  not: (value) => [value],
  properties: (value) => (isObject(value) ? Object.values(value) : undefined),
  allOf: (value) => (isList(value) ? value : undefined),
  anyOf: (value) => (isList(value) ? value : undefined),
  oneOf: (value) => (isList(value) ? value : undefined),
}

/** Why this is no schema that can be held to, in one line; undefined: it is one. */
export function schemaFault(schema: Json, depth = 0): string | undefined {
  if (typeof schema === 'boolean') return undefined
  if (!isObject(schema)) return 'a schema is an object, true or false'
  if (depth > depthMax) return `a schema is nested deeper than ${depthMax}`
  return firstOf(
    Object.entries(schema).map(
      ([key, value]) =>
        () =>
          keywordFault(key, value, depth),
    ),
  )
}

function keywordFault(key: string, value: Json, depth: number): string | undefined {
  if (annotations.includes(key)) return undefined
  if (!Object.hasOwn(checks, key))
    return `${JSON.stringify(key.slice(0, 40))} is no keyword that is checked here`
  if (Object.hasOwn(schemasIn, key)) {
    const inner = schemasIn[key]?.(value)
    if (!inner) return `${key} has no schemas in it`
    return firstOf(inner.map((one) => () => schemaFault(one, depth + 1)))
  }
  if (isWellFormed(key, value)) return undefined
  return `${key} is ${JSON.stringify(value).slice(0, 40)}`
}

function isWellFormed(key: string, value: Json): boolean {
  if (key === 'type') return [value].flat().every((one) => types.includes(String(one)))
  if (key === 'enum') return isList(value)
  if (key === 'required') return isList(value) && value.every((one) => typeof one === 'string')
  if (key === 'const') return true
  if (key === 'uniqueItems') return typeof value === 'boolean'
  return typeof value === 'number' && (key !== 'multipleOf' || value > 0)
}
