/** `device.hardware` in the configuration: its shape, and where a mistake is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadDeviceConfig } from '../../../runtime/config/config.ts'

const directory = mkdtempSync(join(tmpdir(), 'ganglion-hardware-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function load(hardware: string) {
  const file = join(directory, 'config.yaml')
  const indented = hardware.replace(/^/gm, '    ')
  writeFileSync(file, `device:\n  hardware:\n${indented}\n`)
  return loadDeviceConfig({}, file).hardware
}

describe('device.hardware', () => {
  it('is absent where nothing is attached', () => {
    expect(loadDeviceConfig({}).hardware).toBeUndefined()
  })

  it('takes parts and rules; an address may be written as on the data sheet', () => {
    expect(
      load(`
parts:
  - { driver: bme280, id: cellar, bus: i2c-1, address: 0x76 }
  - { driver: relay, id: boiler, pin: 11, keepWithoutNetwork: true, options: { activeLow: true } }
safety:
  arming: person
  emergencyStop: { pin: 16 }
  constraints:
    - { rule: maximum-on, output: boiler.on, onMs: 3600000, because: it has no thermostat }
`),
    ).toEqual({
      networkGraceS: 30,
      parts: [
        { driver: 'bme280', id: 'cellar', bus: 'i2c-1', address: 0x76 },
        { driver: 'relay', id: 'boiler', pin: 11, keepWithoutNetwork: true, options: { activeLow: true } },
      ],
      safety: {
        arming: 'person',
        emergencyStop: { pin: 16 },
        constraints: [
          { rule: 'maximum-on', output: 'boiler.on', onMs: 3_600_000, because: 'it has no thermostat' },
        ],
      },
    })
  })

  it('takes a clearance between groups of outputs', () => {
    const rule = '{ rule: clearance, groups: [[n.green, n.yellow], [e.green, e.yellow]], afterMs: 2000 }'
    expect(load(`safety: { constraints: [${rule}] }`)?.safety?.constraints).toEqual([
      {
        rule: 'clearance',
        groups: [
          ['n.green', 'n.yellow'],
          ['e.green', 'e.yellow'],
        ],
        afterMs: 2_000,
      },
    ])
  })

  it('a module is looked for beside the configuration', () => {
    expect(load('parts: [{ driver: ecma-419, id: a, module: ./my.js }]')?.parts[0]?.module).toBe(
      join(directory, 'my.js'),
    )
  })

  it.each([
    [
      'parts: [{ driver: relay, id: a, pun: 11 }]',
      /config\.yaml: device\.hardware\.parts\.0\.pun: there is no such key/,
    ],
    ['parts: [{ driver: relay }]', /device\.hardware\.parts\.0\.id: /],
    ['parts: [{ driver: relay, id: a, pin: 0 }]', /device\.hardware\.parts\.0\.pin: /],
    [
      'safety: { constraints: [{ rule: never }] }',
      /device\.hardware\.safety\.constraints\.0\.rule: .*"mutex"/,
    ],
    [
      'safety: { constraints: [{ rule: clearance, groups: [[a.on]], afterMs: 9 }] }',
      /device\.hardware\.safety\.constraints\.0\.groups: /,
    ],
    [
      'safety: { constraints: [{ rule: clearance, groups: [[a.on], [b.on]], afterMs: 0 }] }',
      /device\.hardware\.safety\.constraints\.0\.afterMs: /,
    ],
    ['safety: { silenceMsMax: 1 }', /device\.hardware\.safety\.silenceMsMax: /],
    ['networkGraceS: 0', /device\.hardware\.networkGraceS: /],
  ])('%s is a mistake in one line', (hardware, line) => {
    expect(() => load(hardware)).toThrow(line)
  })
})
