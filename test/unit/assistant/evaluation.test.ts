/** The evaluation judges by the home alone: it must fail what it should fail. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { boards } from '../../../boards/index.ts'
import { createHal } from '../../../hal/index.ts'
import { evaluate } from '../../../runtime/assistant/evaluation.ts'
import { readHomeTests } from '../../../runtime/assistant/home-tests.ts'
import { UsageError } from '../../../runtime/base/errors.ts'
import { smallHome } from '../../fixtures/sim-home.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-eval-'))
  writeFileSync(join(dir, '_fixtures.yaml'), smallHome)
})
afterEach(() => rmSync(dir, { recursive: true }))

const signal = new AbortController().signal
const run = (folder = dir) => evaluate(readHomeTests(folder), createHal(boards), signal)
function write(yaml: string, name = 'test.yaml') {
  writeFileSync(join(dir, name), `category: c\ntests:\n${yaml}`)
}

describe('a sentence passes', () => {
  it('when the home equals what it was plus the expected changes', async () => {
    write(
      "  - { sentences: ['turn on the hall light'], expect_changes: { light.hall: { state: 'on' } }, ignore_changes: { light.hall: [color_mode] } }",
    )
    expect(await run()).toMatchObject({
      total: 1,
      passed: 1,
      categories: { c: { total: 1, passed: 1 } },
      failures: [],
    })
  })

  it('from a fresh home each: two sentences do not see each other', async () => {
    write(
      "  - { sentences: ['add milk to the shopping list', 'put eggs on the shopping list'], expect_changes: { todo.shopping: { state: 1 } }, ignore_changes: { todo.shopping: [todo_items] } }",
    )
    expect((await run()).failures).toEqual([])
  })

  it('when nothing moved and nothing should', async () => {
    write("  - { sentences: ['turn on the flux capacitor'] }")
    expect(await run()).toMatchObject({ passed: 1 })
  })

  it('when only the named entity was commanded, in files without changes', async () => {
    write(
      "  - { sentences: ['turn on the hall light'], entity_id: light.hall }\n  - { sentences: ['turn on the hall light'], entity_id: switch.pump }",
    )
    expect(await run()).toMatchObject({ total: 2, passed: 1 })
  })
})

describe('a sentence fails', () => {
  it.each([
    [
      'the expected change did not happen',
      "  - { sentences: ['turn on the flux capacitor'], expect_changes: { light.hall: { state: 'on' } } }",
    ],
    [
      'another entity moved',
      "  - { sentences: ['turn on the hall light and the pump'], expect_changes: { light.hall: { state: 'on' } }, ignore_changes: { light.hall: [color_mode] } }",
    ],
    [
      'an attribute is wrong',
      "  - { sentences: ['set the blind to 40 percent'], expect_changes: { cover.blind: { state: open, attributes: { current_position: 50 } } } }",
    ],
    [
      'something moved and nothing should',
      "  - { sentences: ['turn on the hall light'], expect_changes: {} }",
    ],
    [
      'the entity is not in the home',
      "  - { sentences: ['turn on the flux capacitor'], expect_changes: { light.flux: { state: 'on' } } }",
    ],
  ])('when %s', async (_, yaml) => {
    write(yaml)
    const result = await run()
    expect(result.passed).toBe(0)
    expect(result.failures[0]).toMatchObject({
      file: 'test.yaml',
      sentence: expect.any(String),
      expected: expect.any(Object),
      got: { changes: expect.any(Object) },
    })
  })
})

describe('the format', () => {
  it('reads states as flags, as how they are kept, and changes that say nothing', async () => {
    write(
      "  - { sentences: ['turn on the pump'], expect_changes: { switch.pump: { state: true }, light.hall: } }\n" +
        "  - { sentences: ['turn on the pump'], expect_changes: { switch.pump: { state: { in: running, out: 'on' } } } }",
    )
    expect((await run()).failures).toEqual([])
  })

  it('lets a home that cannot be opened fail its own sentences, and goes on', async () => {
    write("  - { sentences: ['turn on the pump'], expect_changes: { switch.pump: { state: 'on' } } }")
    writeFileSync(join(dir, '_fixtures.yaml'), smallHome.replace('area: garage', 'area: attic'))
    const result = await run()
    expect(result).toMatchObject({ total: 1, passed: 0 })
    expect(result.failures[0]?.got).toMatchObject({ error: expect.stringContaining('attic') })
  })

  it('puts the setup into the home, where it may change what a device can do', async () => {
    write(
      "  - { sentences: ['set the pump on'], setup: { switch.pump: { state: 'on' } }, expect_changes: { switch.pump: { state: 'on' } } }",
    )
    expect(await run()).toMatchObject({ passed: 1 })
  })

  it('takes the area of the device that is spoken to', async () => {
    writeFileSync(
      join(dir, '_fixtures.yaml'),
      `devices: [{ id: satellite, name: Satellite, area: hall }]${smallHome}`,
    )
    write(
      "  - { sentences: ['turn on the light'], context_device: satellite, expect_changes: { light.hall: { state: 'on' } }, ignore_changes: { light.hall: [color_mode] } }",
    )
    expect((await run()).failures).toEqual([])
  })

  it('finds homes in folders of folders', async () => {
    write("  - { sentences: ['turn on the hall light'], entity_id: light.hall }")
    const above = mkdtempSync(join(tmpdir(), 'ganglion-evals-'))
    mkdirSync(join(above, 'a'))
    writeFileSync(join(above, 'a', '_fixtures.yaml'), smallHome)
    writeFileSync(
      join(above, 'a', 'x.yaml'),
      "category: c\ntests: [{ sentences: ['turn on the hall light'], entity_id: light.hall }]\n",
    )
    try {
      expect(await run(above)).toMatchObject({ total: 1, passed: 1 })
    } finally {
      rmSync(above, { recursive: true })
    }
  })

  it.each([
    ['no tests', '', /no tests/],
    ['no category', 'tests: []', /test\.yaml: .*category/],
    ['not YAML', 'category: [', /test\.yaml/],
  ])('refuses a file with %s, naming it', (_, text, message) => {
    if (text) writeFileSync(join(dir, 'test.yaml'), text)
    expect(() => readHomeTests(dir)).toThrow(UsageError)
    expect(() => readHomeTests(dir)).toThrow(message)
  })
})

it('passes at least 97 % of the recorded intents', async () => {
  const result = await run(fileURLToPath(new URL('../../fixtures/home/intents', import.meta.url)))
  expect(result.total).toBe(165)
  expect(result.passed / result.total).toBeGreaterThanOrEqual(0.97)
})
