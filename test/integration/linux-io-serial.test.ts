/** Serial ports on a pair of pseudo-terminals, made by socat: what is written to one end is read from the other. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { boards } from '../../boards/index.ts'
import type { HalError } from '../../hal/contract/errors.ts'
import { createLinuxIo, type LinuxIo } from '../../hal/linux/linux-io.ts'

const hasSocat = spawnSync('socat', ['-V']).status === 0
const waitMsMax = 10_000

let folder: string
let port: string
let socat: ChildProcess
let part: Socket
let io: LinuxIo

beforeEach(async (ctx) => {
  ctx.skip(!hasSocat, 'socat is not installed')
  folder = mkdtempSync(path.join(os.tmpdir(), 'ganglion-serial-'))
  port = path.join(folder, 'ttyFAKE0')
  const socket = path.join(folder, 'part.sock')
  socat = spawn('socat', [`UNIX-LISTEN:${socket}`, `PTY,link=${port}`], { stdio: 'inherit' })
  await until(() => existsSync(socket))
  part = await connect(socket)
  await until(() => existsSync(port))
  const board = boards.find(({ id }) => id === 'generic-x64')
  if (!board) throw new Error('no generic board')
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  io = createLinuxIo({ board, roots: { dev: '/dev', sys: '/sys', proc: '/proc' }, host: { log } })
})

afterEach(async () => {
  if (!hasSocat) return
  io.close()
  part.destroy()
  if (socat.exitCode === null && socat.signalCode === null) {
    socat.kill()
    await once(socat, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
})

/** The socket is there a moment before it listens. */
async function connect(socket: string, deadlineMs = performance.now() + waitMsMax): Promise<Socket> {
  const connection = createConnection(socket)
  try {
    await once(connection, 'connect')
    return connection
  } catch (error) {
    if (performance.now() > deadlineMs) throw error
    return connect(socket, deadlineMs)
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + waitMsMax
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${waitMsMax} ms for ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

test('bytes go both ways unchanged, control characters and line ends too', async () => {
  const all = Uint8Array.from({ length: 256 }, (_, n) => n)
  const serial = io.serial({ port, baud: 9600 })
  let heard = Buffer.alloc(0)
  part.on('data', (bytes: Buffer) => {
    heard = Buffer.concat([heard, bytes])
  })
  serial.write(all)
  await until(() => heard.byteLength === 256)
  expect([...heard]).toEqual([...all])

  let received: number[] = []
  part.write(all)
  await until(() => {
    received = [...received, ...serial.read()]
    return received.length === 256
  })
  expect(received).toEqual([...all])
})

test('onReadable says how many bytes wait, and read takes as many as it wants', async () => {
  let waiting = 0
  const serial = io.serial({ port, baud: 115_200, onReadable: (bytes) => (waiting = bytes) })
  expect(serial.read()).toEqual(new Uint8Array(0))
  part.write('$GPGGA,1*00\r\n')
  await until(() => waiting === 13)
  expect(text(serial.read(6))).toBe('$GPGGA')
  expect(text(serial.read())).toBe(',1*00\r\n')
  expect(serial.droppedBytes).toBe(0)
})

test('the port is raw: 8 data bits, no echo, at the speed that was asked for', () => {
  io.serial({ port, baud: 38_400 })
  const settings = spawnSync('stty', ['-a', '-F', port], { encoding: 'utf8' }).stdout
  expect(settings).toContain('speed 38400 baud')
  for (const setting of ['-echo', '-icanon', '-isig', '-ixon', '-icrnl', '-opost', '-crtscts'])
    expect(settings).toContain(setting)
})

test('a reader that is late loses the oldest bytes, and is told how many', async () => {
  const serial = io.serial({ port, baud: 115_200 })
  const sent = Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n >> 8) ^ n))
  part.write(sent)
  await until(() => serial.droppedBytes === 100_000 - 65_536)
  expect(Buffer.from(serial.read()).equals(sent.subarray(-65_536))).toBe(true)
})

test('a port that goes away is not-present, once, after what it had sent was read', async () => {
  const errors: HalError[] = []
  let waiting = 0
  const serial = io.serial({
    port,
    baud: 9600,
    onReadable: (bytes) => (waiting = bytes),
    onError: (error) => errors.push(error),
  })
  part.write('last words')
  await until(() => waiting === 10)
  socat.kill()
  await until(() => errors.length > 0)
  expect(text(serial.read())).toBe('last words')
  expect(() => serial.read()).toThrow(`${port}: it is gone`)
  expect(() => serial.write(Uint8Array.of(1))).toThrow(`${port}: it is gone`)
  expect(errors.map(({ code }) => code)).toEqual(['not-present'])
})

test('a speed that the port has not is refused with what stty says', () => {
  expect(() => io.serial({ port, baud: 12_345 })).toThrow(/at 12345 baud: stty: invalid argument/)
  // It was closed again.
  io.serial({ port, baud: 9600 }).close()
})

test('a port that another part has is busy until that one closes it', () => {
  const first = io.serial({ port, baud: 9600 })
  expect(() => io.serial({ port, baud: 9600 })).toThrow(`${port}: in use by another part`)
  first.close()
  first.close()
  const second = io.serial({ port, baud: 9600 })
  second.close()
  expect(() => second.read()).toThrow(`${port} is closed`)
  expect(() => second.write(Uint8Array.of(1))).toThrow(`${port} is closed`)
})

test('a port that is not there is not-present', () => {
  expect(() => io.serial({ port: '/dev/ttyNOTHERE', baud: 9600 })).toThrow(/ttyNOTHERE.*it is not there/)
})

test('a peer that takes nothing makes a long write a timeout, not a hang', () => {
  const serial = io.serial({ port, baud: 4_000_000 })
  socat.kill('SIGSTOP')
  try {
    expect(() => serial.write(new Uint8Array(1_000_000))).toThrow(/bytes could not be sent in time/)
  } finally {
    socat.kill('SIGCONT')
  }
})
