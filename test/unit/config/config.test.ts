import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { UsageError } from '../../../runtime/base/errors.ts'
import { type DeviceConfigInput, loadDeviceConfig } from '../../../runtime/config/config.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-config-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function load(yaml: string, options: DeviceConfigInput = {}) {
  const file = join(dir, 'ganglion.yaml')
  writeFileSync(file, yaml)
  return loadDeviceConfig(options, file)
}

describe('loadDeviceConfig', () => {
  it('needs nothing: every key has a default', () => {
    const config = loadDeviceConfig({})
    expect(config.id).toMatch(/^[a-z0-9]/)
    expect(config).toMatchObject({
      base: 'ganglion',
      hostSensors: true,
      voice: { enabled: true, audioSMax: 120, privacy: 'device' },
    })
  })

  it('takes the device section of a file and lets options win key by key', () => {
    const config = load('device: {id: hub, voice: {threads: 2, audioSMax: 30}}\ngateway: {httpPort: 1}\n', {
      voice: { threads: 3 },
    })
    expect(config).toMatchObject({ id: 'hub', voice: { threads: 3, audioSMax: 30 } })
  })

  it.each([
    ['device: {idd: hub}', 'device.idd: there is no such key'],
    ['device: {id: "a/b"}', 'device.id: must be letters'],
    ['device: {voice: {threads: 99}}', 'device.voice.threads'],
    ['device: {voice: {privacy: nowhere}}', 'device.voice.privacy'],
    ['device: {broker: {url: "http://x"}}', 'must start with mqtt://'],
    [
      'device: {agents: {takeOver: {from: [hub], after: 20}}}',
      'device.agents.takeOver.after: must be "by-hand", or 30 at least',
    ],
    ['device: {agents: {replicate: {to: []}}}', 'device.agents.replicate.to'],
    ['device: {agents: {weights: {hub: 0}}}', 'device.agents.weights.hub'],
    ['device: {agents: {weights: {hub: 0.1}}}', 'device.agents.weights.hub'],
    ['device: {agents: {weights: {"a/b": 1}}}', 'device.agents.weights'],
    ['device: {agents: {weights: {}}}', 'device.agents.weights: must name a device'],
    [
      `device: {agents: {weights: {${Array.from({ length: 65 }, (_, n) => `d${n}: 1`).join()}}}}`,
      'device.agents.weights: must be 64 at most',
    ],
    ['device: {agents: {limits: {engine: {atOnce: 0}}}}', 'device.agents.limits.engine.atOnce'],
    [
      'device: {agents: {limits: {tokens: {atOnce: 1}}}}',
      'device.agents.limits.tokens.atOnce: there is no such',
    ],
    ['device: {agents: {limits: {motor: {}}}}', 'device.agents.limits.motor: there is no such key'],
    ['device: {agents: {quota: {joulesPerDay: 0.5}}}', 'device.agents.quota.joulesPerDay'],
    ['device: {agents: {restartsPerHour: 61}}', 'device.agents.restartsPerHour'],
    ['device: {agents: {byName: {"a@b": {}}}}', 'device.agents.byName.a@b: must be the name of an agent'],
    [
      'device: {agents: {byName: {a: {quota: {tokens: 1}}}}}',
      'device.agents.byName.a.quota.tokens: there is no',
    ],
    ['device: 7', 'device must hold keys and values'],
    ['devise: {}', 'unknown section "devise"'],
    ['- a', 'must hold the sections'],
    ['device: {id: [', 'ganglion.yaml'],
  ])('refuses %j in one line that names the place', (yaml, message) => {
    let thrown: unknown
    try {
      load(yaml)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(UsageError)
    expect((thrown as Error).message).toContain(message)
    expect((thrown as Error).message).not.toContain('\n')
  })

  it('says which file cannot be read', () => {
    expect(() => loadDeviceConfig({}, join(dir, 'absent.yaml'))).toThrow(
      /cannot read the configuration .*absent\.yaml/,
    )
  })

  it('refuses a file that is too large to be a configuration', () => {
    expect(() => load(`device: {}\n${'#'.repeat(300_000)}\n`)).toThrow('larger than')
  })

  it('refuses a file whose aliases multiply', () => {
    const layers = Array.from(
      { length: 8 },
      (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(',')}]`,
    )
    expect(() => load(`l0: &l0 [x]\n${layers.join('\n')}\ndevice: {}\n`)).toThrow(/alias/i)
  })
})
