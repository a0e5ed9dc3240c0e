/** What a device at rest has loaded: memory that it holds for nothing is memory that a model has not. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ganglionMain } from '../fixtures/hub.ts'
import { until } from './broker-raw.ts'
import { openGateway } from './gateway-device.ts'

interface Loaded {
  readonly ofNode: readonly string[]
  readonly files: readonly string[]
  readonly numbers: number
}

const stack = new AsyncDisposableStack()
let loaded: Loaded

beforeAll(async () => {
  const gateway = stack.use(await openGateway())
  const stateDir = mkdtempSync(join(tmpdir(), 'at-rest-'))
  stack.defer(() => rmSync(stateDir, { recursive: true, force: true }))
  const preload = fileURLToPath(new URL('../fixtures/loaded.mjs', import.meta.url))
  const args = [
    '--no-voice',
    '--json',
    '--state-dir',
    stateDir,
    '--id',
    'resting',
    '--gateway',
    gateway.httpUrl,
  ]
  const device = spawn(
    process.execPath,
    ['--import', preload, ganglionMain, 'device', '--first-home', ...args],
    { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  )
  stack.defer(async () => {
    const ended = once(device, 'exit')
    device.kill('SIGINT')
    await ended
  })
  const status = async () => (await fetch(`${gateway.httpUrl}/api/devices/resting/status`)).status
  await until('the device is online', async () => (await status()) === 200, 60_000)
  const answer = once(device, 'message', { signal: AbortSignal.timeout(60_000) })
  device.send('what is loaded')
  loaded = (await answer)[0] as Loaded
}, 150_000)
afterAll(() => stack.disposeAsync())

test('it has asked its gateway something, with nothing of what fetch and TLS are made of', () => {
  const ofNode = loaded.ofNode.map((name) => name.replace(/^NativeModule /, ''))
  expect(ofNode).toContain('http')
  for (const heavy of ['internal/deps/undici/undici', 'internal/http2/core', 'tls'])
    expect(ofNode).not.toContain(heavy)
})

test('it has said things to its broker, without a table of all numbers there are', () => {
  expect(loaded.files.some((file) => file.includes('/node_modules/mqtt/'))).toBe(true)
  expect(loaded.numbers).toBe(0)
})

test('it has no agent, and nothing of what only agents need', () => {
  const agents = /\/runtime\/agent\/(agents|device-parts|store\/agent-store|memory\/memory-store)\.ts$/
  expect(loaded.files.some((file) => file.endsWith('/runtime/agent/device-agents.ts'))).toBe(true)
  expect(loaded.files.filter((file) => agents.test(file))).toEqual([])
  const packages = /\/node_modules\/(quickjs-wasi|@modelcontextprotocol)\//
  expect(loaded.files.filter((file) => packages.test(file))).toEqual([])
})
