/** `doctor` as a person sees it: everything fits 80 columns, colour changes no word, and nothing is left out. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from '../../../hal/contract/examination.ts'
import { reportLines, wrapped } from '../../../runtime/cli/doctor-report.ts'
import type { Terminal } from '../../../runtime/cli/terminal.ts'
import { laptop, type Machine, orinNano, pi5, pi5Chips } from '../hal/doctor/machines.ts'

const plain: Terminal['style'] = (_style, text) => text
const coloured: Terminal['style'] = (style, text) => styleText(style, text, { validateStream: false })
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences of colours begin with one
const withoutColour = (text: string) => text.replaceAll(/\x1b\[[0-9;]*m/g, '')

const porch = {
  parts: [
    { driver: 'bme280', id: 'porch_climate', bus: 'i2c-1', address: 0x77 },
    { driver: 'pir', id: 'porch_motion', pin: 'GPIO17' },
  ],
}
const answers = () => [{ address: 0x48 }, { address: 0x68, kernelDriver: 'rtc-ds1307' }, { address: 0x76 }]

const machines = [
  ['raspberrypi-5', pi5, { askI2c: answers, askChip: pi5Chips, hardware: porch }],
  ['jetson-orin-nano', orinNano, {}],
  ['laptop', laptop, { arch: 'x64' }],
] as const

async function examined(build: () => Promise<Machine>, options: object) {
  await using machine = await build()
  const seen = await machine.examine(options)
  // Temporary folders have another name each time, and are longer than /dev.
  return JSON.parse(JSON.stringify(seen).replaceAll(machine.roots.dev, '/dev')) as typeof seen
}

describe.each(machines)('the report about a %s', (name, build, options) => {
  test('fits 80 columns and is what was read by a person', async () => {
    const seen = await examined(build, options)
    const lines = reportLines(seen, seen.findings, plain)
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80)
    await expect(`${lines.map((line) => line.trimEnd()).join('\n')}\n`).toMatchFileSnapshot(
      `doctor/${name}.txt`,
    )
  })

  test('says the same in colour', async () => {
    const seen = await examined(build, options)
    const lines = reportLines(seen, seen.findings, coloured)
    expect(lines.join('\n')).toContain('\x1b[')
    expect(lines.map(withoutColour)).toEqual(reportLines(seen, seen.findings, plain))
  })
})

test('every finding is numbered, marked and followed by its next step', async () => {
  const seen = await examined(laptop, { arch: 'x64' })
  const findings: Finding[] = [
    { check: 'one', severity: 'ok', found: 'fine' },
    { check: 'two', severity: 'warn', found: 'hm', next: 'do this' },
    { check: 'three', severity: 'fail', found: 'no', next: 'do that' },
  ]
  const lines = reportLines(seen, findings, plain)
  expect(lines.slice(lines.indexOf('Findings') + 1)).toEqual([
    ' 1 ✓ one: fine',
    ' 2 ! two: hm',
    '     → do this',
    ' 3 ✗ three: no',
    '     → do that',
  ])
})

test('wrapping keeps every word, and lines are as long as allowed unless one word is longer', () => {
  const word = fc.stringMatching(/^[a-z.:/-]{1,100}$/)
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 40 }), fc.nat(20), (words, indent) => {
      const lines = wrapped(words.join(' '), ' '.repeat(indent))
      expect(lines.flatMap((line) => line.trim().split(' '))).toEqual(words)
      for (const line of lines) {
        expect(line.startsWith(' '.repeat(indent))).toBe(true)
        if (line.trim().includes(' ')) expect(line.length).toBeLessThanOrEqual(80)
      }
    }),
  )
})

describe('the command', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'doctor-cli-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const main = fileURLToPath(new URL('../../../runtime/main.ts', import.meta.url))
  function doctor(config: string, ...args: string[]) {
    const file = join(folder, 'device.yaml')
    writeFileSync(file, config)
    const started = ['doctor', '--no-probe', '--state-dir', folder, '--config', file, ...args]
    return spawnSync(process.execPath, [main, ...started], { encoding: 'utf8', timeout: 60_000 })
  }

  test('fails with exit code 1 where a configured part cannot be, and says so in JSON', () => {
    const { status, stdout } = doctor(
      'device: { hardware: { parts: [{ driver: bme208, id: porch }] } }',
      '--json',
    )
    const report = JSON.parse(stdout)
    expect(status).toBe(1)
    expect(report.healthy).toBe(false)
    expect(report.machine.board.name).toBeTypeOf('string')
    const { found } = report.findings.find(({ check }: Finding) => check === 'configuration')
    expect(found).toMatch(/hardware\.parts\[0\] \(porch\): there is no driver "bme208"; did you mean bme280/)
  })

  test('refuses a configuration that is none, with exit code 2 and one line', () => {
    const { status, stderr } = doctor('device: { hardware: { parts: 7 } }')
    expect(status).toBe(2)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain('device.hardware.parts')
  })
})
