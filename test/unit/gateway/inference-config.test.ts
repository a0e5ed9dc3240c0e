/** What a gateway serves and which servers it asks: defaults, rules, and mistakes in one line. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type GatewaySection, loadConfig } from '../../../gateway/config.ts'

const load = (section: GatewaySection, env = {}) => loadConfig(section, 'gateway', env).inference
const vllm = { id: 'vllm', kind: 'openai', url: 'http://gpu:8000/v1', reach: 'site' } as const
const triton = { id: 'triton-1', kind: 'oip', url: 'http://gpu:8000/', reach: 'site' } as const
const cloud = { ...vllm, id: 'cloud', url: 'https://api.example/v1', reach: 'cloud' } as const
const message = (section: unknown, env = {}) => {
  try {
    loadConfig(section, 'gateway', env)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('it was taken')
}

test('without a word nothing is served and nobody is asked', () => {
  expect(load({})).toEqual({ queueMax: 256, bytesMax: 256 * 2 ** 20, pool: undefined, upstreams: [] })
})

test('models or folders make a pool, planned by the machine where not said', () => {
  expect(load({ inference: { models: ['silero-vad'], budgetMb: 512 } }).pool).toEqual({
    ...{ models: ['silero-vad'], folders: [], budgetMb: 512, workers: undefined, threads: undefined },
  })
  expect(load({ inference: { folders: ['/srv/models'], workers: 2 } }).pool).toMatchObject({
    folders: ['/srv/models'],
    workers: 2,
  })
})

test('servers elsewhere: their models by name or with a task, their keys from a file or the environment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ganglion-key-'))
  writeFileSync(join(folder, 'key'), 'sk-from-a-file\n')
  const upstreams = [
    {
      ...triton,
      models: ['m', { name: 'e', task: 'embeddings' as const, idempotent: true, cacheS: 60, price: 0.01 }],
    },
    { ...vllm, keyFile: join(folder, 'key'), priority: true, concurrency: 64 },
    { ...cloud, keyEnv: 'CLOUD_KEY' },
    { ...cloud, id: 'trusted', redact: false },
  ]
  const loaded = load({ upstreams }, { CLOUD_KEY: 'sk-from-the-environment' }).upstreams
  expect(loaded[0]).toMatchObject({
    url: 'http://gpu:8000',
    concurrency: 16,
    models: [{ name: 'm' }, { name: 'e', task: 'embeddings', price: 0.01 }],
  })
  expect(loaded[1]).toMatchObject({ key: 'sk-from-a-file', priority: true, concurrency: 64 })
  expect(loaded[2]).toMatchObject({ key: 'sk-from-the-environment', reach: 'cloud', redact: true })
  expect(loaded[3]).toMatchObject({ reach: 'cloud', redact: false })
})

describe('a mistake is one line that says where', () => {
  test.each<[object, RegExp]>([
    [{ inference: { model: ['x'] } }, /^gateway: unknown key inference\.model$/],
    [{ inference: { workers: 0 } }, /inference\.workers: is not within 1 to 64/],
    [{ upstreams: [{ ...vllm, reach: undefined }] }, /upstreams\.0\.reach: say site or cloud/],
    [{ upstreams: [{ ...vllm, reach: 'device' }] }, /upstreams\.0\.reach: is not site or cloud/],
    [{ upstreams: [{ ...vllm, kind: 'grpc' }] }, /upstreams\.0\.kind: is not oip .* or openai/],
    [{ upstreams: [{ ...vllm, url: 'gpu:8000' }] }, /upstreams\.0\.url: is not a URL/],
    [{ upstreams: [{ ...vllm, url: 'http://me:secret@gpu/v1' }] }, /upstreams\.0\.url: no user, password/],
    [{ upstreams: [{ ...vllm, reach: 'cloud' }] }, /upstreams\.0\.url: what goes to a cloud goes over https/],
    [{ upstreams: [{ ...vllm, redact: true }] }, /upstreams\.0\.redact: only where reach is cloud/],
    [{ upstreams: [vllm, vllm] }, /upstreams\.1\.id: vllm is taken/],
    [{ upstreams: [{ ...vllm, id: 'pool' }] }, /upstreams\.0\.id: pool is taken/],
    [{ upstreams: [{ ...vllm, id: 'a b' }] }, /upstreams\.0\.id: is not an id/],
    [{ upstreams: [{ ...vllm, keyEnv: 'NOT_SET' }] }, /upstreams\.0\.keyEnv: NOT_SET is not set/],
    [
      { upstreams: [{ ...vllm, keyFile: '/nowhere/key' }] },
      /upstreams\.0\.keyFile: cannot read \/nowhere\/key/,
    ],
    [
      { upstreams: [{ ...vllm, models: [{ name: 'x', task: 'painting' }] }] },
      /upstreams\.0\.models\.0: is neither a name nor/,
    ],
    [{ upstreams: [{ ...vllm, models: [{ name: 'x', price: -1 }] }] }, /upstreams\.0\.models\.0: .*price\?/],
    [{ upstreams: [{ ...vllm, binary: true }] }, /upstreams\.0\.binary: only of kind oip/],
    [{ upstreams: [{ ...triton, priority: true }] }, /upstreams\.0\.priority: only of kind openai/],
  ])('%j', (section, line) => {
    const said = message(section)
    expect(said).toMatch(line)
    expect(said).not.toMatch(/\n|secret/)
  })

  test('a key with a line break in it is refused without being said', () => {
    const said = message({ upstreams: [{ ...vllm, keyEnv: 'KEY' }] }, { KEY: 'sk-one\nsk-two' })
    expect([said, said.includes('sk-')]).toEqual([
      expect.stringMatching(/upstreams\.0: its key has characters/),
      false,
    ])
  })
})
