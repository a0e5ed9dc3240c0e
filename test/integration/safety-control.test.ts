/** A person at the device: the socket, and the command that uses it as a process of its own. */
import { spawn } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { safetyControl } from '../../hal/safety/control-client.ts'
import { SafetyThread } from '../../hal/safety/thread-port.ts'
import { PinFolder, pump, until } from '../fixtures/safety/bench-of-pins.ts'
import { realHost } from '../fixtures/safety/real-host.ts'

const { signal } = new AbortController()

/** A device whose outputs a person must arm. */
async function openHere(folder: PinFolder): Promise<SafetyThread> {
  process.env['GANGLION_TEST_IO'] = folder.dir
  return SafetyThread.open({ host: realHost() }, folder.plan([pump()], { arming: 'person' }), signal)
}

/** What the socket answers to `text`; empty when it closes without an answer. */
function exchange(folder: PinFolder, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(folder.safetyDir, 'control.sock'))
    let answer = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      answer += chunk
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(answer) : reject(error),
    )
    socket.write(text)
  })
}

function ganglion(
  folder: PinFolder,
  ...args: string[]
): Promise<{ code: number | null; out: string; error: string }> {
  const program = join(import.meta.dirname, '../../runtime/main.ts')
  const child = spawn(process.execPath, [program, 'safety', ...args, '--state-dir', folder.dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let error = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  child.stderr.on('data', (chunk) => {
    error += chunk
  })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, error })))
}

describe('the control socket [safety-6]', () => {
  test('is for this user only, and gone after a clean stop', async () => {
    using folder = new PinFolder()
    const thread = await openHere(folder)
    expect(statSync(join(folder.safetyDir, 'control.sock')).mode & 0o777).toBe(0o600)
    expect(statSync(folder.safetyDir).mode & 0o777).toBe(0o700)
    await thread[Symbol.asyncDispose]()
    await expect(safetyControl.ask(folder.safetyDir, { command: 'status' }, signal)).rejects.toMatchObject({
      code: 'not-present',
    })
  })

  test('arms and clears with the token only; disarms without', async () => {
    using folder = new PinFolder()
    await using _thread = await openHere(folder)
    const ask = (request: Parameters<typeof safetyControl.ask>[1]) =>
      safetyControl.ask(folder.safetyDir, request, signal)
    const token = await safetyControl.createToken(folder.safetyDir)
    expect((await ask({ command: 'status' })).armed).toBe(false)
    await expect(ask({ command: 'arm' })).rejects.toMatchObject({ code: 'permission' })
    await expect(ask({ command: 'arm', token: 'wrong' })).rejects.toMatchObject({ code: 'permission' })
    await expect(ask({ command: 'clear', fault: 'f', token: 'wrong' })).rejects.toMatchObject({
      code: 'permission',
    })
    expect((await ask({ command: 'arm', token })).armed).toBe(true)
    expect((await ask({ command: 'disarm' })).armed).toBe(false)
    const refused = await until('the audit', () => {
      const lines = folder.audit().filter(({ what }) => what === 'token-refused')
      return lines.length >= 2 && lines
    })
    expect(refused[0]).toMatchObject({ who: 'user', rule: 'token' })
    expect(JSON.stringify(folder.audit())).not.toContain(token)
  })

  test.each([
    ['no JSON', 'hello\n', /"code":"malformed"/],
    ['an unknown command', '{"command":"fire"}\n', /"code":"malformed"/],
    ['clear without a fault', '{"command":"clear"}\n', /"code":"malformed"/],
    ['a request that is too long', `{"command":"${'x'.repeat(10_000)}`, /^$/],
  ])('answers %s without harm', async (_, text, answer) => {
    using folder = new PinFolder()
    await using _thread = await openHere(folder)
    expect(await exchange(folder, text)).toMatch(answer)
    expect((await safetyControl.ask(folder.safetyDir, { command: 'status' }, signal)).armed).toBe(false)
  })
})

describe('ganglion safety', () => {
  test('makes a token once, arms with it from a file, shows status and audit', async () => {
    using folder = new PinFolder()
    await using _thread = await openHere(folder)
    const made = await ganglion(folder, 'token', '--json')
    const { token } = JSON.parse(made.out)
    const file = join(folder.dir, 'token.txt')
    writeFileSync(file, `${token}\n`)
    expect((await ganglion(folder, 'token')).error).toMatch(
      /a safety token was made before and is shown once only/,
    )
    const armed = await ganglion(folder, 'arm', '--json', '--token-file', file)
    expect(armed).toMatchObject({ code: 0, error: '' })
    expect(JSON.parse(armed.out)).toMatchObject({ armed: true })
    expect((await ganglion(folder, 'status')).out).toMatch(/^safety\s+armed\n.*pump\.on 0\n/s)
    const audit = await ganglion(folder, 'audit', '--json')
    expect(
      audit.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).what),
    ).toContain('armed')
  })

  test('a wrong token is refused with exit code 3, an unknown fault fails with 1', async () => {
    using folder = new PinFolder()
    await using _thread = await openHere(folder)
    const token = await safetyControl.createToken(folder.safetyDir)
    const [wrong, right] = [join(folder.dir, 'wrong'), join(folder.dir, 'right')]
    writeFileSync(wrong, 'nonsense')
    writeFileSync(right, token)
    expect(await ganglion(folder, 'arm', '--token-file', wrong)).toMatchObject({
      code: 3,
      error: expect.stringMatching(/^ganglion: refused: that is not the safety token\n$/),
    })
    expect(await ganglion(folder, 'clear', 'none', '--token-file', right)).toMatchObject({
      code: 1,
      error: expect.stringMatching(/^ganglion: there is no fault none; latched are: none\n$/),
    })
  })

  test('without a terminal says which option takes the token, and without a device that there is none', async () => {
    using folder = new PinFolder()
    expect(await ganglion(folder, 'status')).toMatchObject({
      code: 2,
      error: expect.stringMatching(/no device/),
    })
    expect(await ganglion(folder, 'arm')).toMatchObject({
      code: 2,
      error: expect.stringMatching(/--token-file/),
    })
  })
})
