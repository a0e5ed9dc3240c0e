/** Answers held against their schemas. */
import { describe, expect, it } from 'vitest'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { schemaFault, schemaMismatch } from '../../../../runtime/agent/think/json-schema.ts'

describe('a value', () => {
  it.each<[Json, Json]>([
    [{ type: 'integer' }, 3],
    [{ type: ['string', 'null'] }, null],
    [{ enum: ['a', { b: 1, c: 2 }] }, { c: 2, b: 1 }],
    [{ const: [1, 2] }, [1, 2]],
    [{ minimum: 1, exclusiveMaximum: 2, multipleOf: 0.5 }, 1.5],
    [{ minLength: 1, maxLength: 1 }, '🦔'],
    [{ minimum: 5 }, 'no number'],
    [{ type: 'array', items: { type: 'number' }, minItems: 1, maxItems: 2, uniqueItems: true }, [1, 2]],
    [{ properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false }, { a: 'x' }],
    [
      { additionalProperties: { type: 'number' }, maxProperties: 2 },
      { a: 1, b: 2 },
    ],
    [{ anyOf: [{ type: 'string' }, { type: 'number' }] }, 1],
    [{ oneOf: [{ minimum: 5 }, { maximum: 1 }], not: { const: 7 } }, 6],
    [{ properties: { __proto__: { type: 'string' } }, title: 'x', description: 'y' }, {}],
    [true, 'anything'],
  ])('%j allows %j', (schema, value) => {
    expect(schemaFault(schema)).toBeUndefined()
    expect(schemaMismatch(schema, value)).toBeUndefined()
  })

  it.each<[Json, Json, string]>([
    [{ type: 'integer' }, 3.5, 'the answer is number, not integer'],
    [{ type: 'object' }, [], 'the answer is array, not object'],
    [{ type: 'object' }, null, 'the answer is null, not object'],
    [{ enum: [1, 2] }, '1', 'the answer is none of [1,2]'],
    [{ maximum: 1 }, 2, 'the answer is over 1'],
    [{ exclusiveMinimum: 1 }, 1, 'the answer is not over 1'],
    [{ items: { type: 'number' } }, [1, '2'], '[1] is string, not number'],
    [{ properties: { a: { minLength: 2 } } }, { a: 'x' }, '.a has fewer characters than 2'],
    [{ required: ['toString'] }, {}, 'the answer has no "toString"'],
    [
      { properties: { a: true }, additionalProperties: false },
      { a: 1, constructor: 2 },
      '.constructor may not be there',
    ],
    [
      { uniqueItems: true },
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      'the answer has an item twice',
    ],
    [{ allOf: [{ type: 'number' }, { minimum: 2 }] }, 1, 'the answer is under 2'],
    [{ anyOf: [{ type: 'string' }, { minimum: 2 }] }, 1, 'the answer is as none of anyOf says'],
    [{ oneOf: [{ minimum: 1 }, { minimum: 2 }] }, 3, 'the answer is as 2 of oneOf say'],
    [{ not: { type: 'number' } }, 3, 'the answer is as not says'],
    [false, 1, 'the answer may not be there'],
  ])('%j does not allow %j', (schema, value, reason) => {
    expect(schemaFault(schema)).toBeUndefined()
    expect(schemaMismatch(schema, value)).toBe(reason)
  })
})

describe('a schema', () => {
  let deep: Json = {}
  for (let at = 0; at < 40; at += 1) deep = { items: deep }
  it.each<[Json]>([
    ['string'],
    [{ pattern: '(a+)+$' }],
    [{ $ref: '#/nowhere' }],
    [{ constructor: 1 }],
    [{ type: 'text' }],
    [{ required: 'a' }],
    [{ minimum: '1' }],
    [{ multipleOf: 0 }],
    [{ properties: [] }],
    [{ anyOf: {} }],
    [{ items: { properties: { a: 3 } } }],
    [deep],
  ])('that cannot be held to is refused: %j', (schema) => {
    expect(schemaFault(schema)).toEqual(expect.any(String))
  })
})
