/**
 * CAN. Frames go through a pipe opened for both directions, which hands back what was written in the same pieces, and through
 * a virtual interface where the kernel has one.
 */
import { execFileSync } from 'node:child_process'
import { constants, openSync, writeSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { boards } from '../../../../boards/index.ts'
import type { Can, CanFrame } from '../../../../hal/contract/io.ts'
import { CanSocket, openCan } from '../../../../hal/linux/can.ts'
import { createLinuxIo } from '../../../../hal/linux/linux-io.ts'
import { testHost } from '../host.ts'
import { until, useFiles } from './files.ts'

const files = useFiles()
const opened: Can[] = []
afterEach(() => {
  for (const can of opened.splice(0)) can.close()
})

const everything = [
  { id: 0, mask: 0, extended: false },
  { id: 0, mask: 0, extended: true },
]

function overPipe(onReadable = () => {}): { can: CanSocket; fd: number } {
  const fd = openSync(files().fifo('can'), constants.O_RDWR | constants.O_NONBLOCK)
  const can = new CanSocket(fd, 'can0', { bus: 'can0', filters: everything, onReadable })
  opened.push(can)
  return { can, fd }
}

const standard: CanFrame = { id: 0x123, extended: false, remote: false, bytes: Uint8Array.of(1, 2, 3) }
const extended: CanFrame = {
  id: 0x1fff_ffff,
  extended: true,
  remote: false,
  bytes: new Uint8Array(8).fill(255),
}
const remote: CanFrame = { id: 0x7ff, extended: false, remote: true, bytes: new Uint8Array(0) }

async function exchange(can: Can, frames: readonly CanFrame[]): Promise<CanFrame[]> {
  const got: CanFrame[] = []
  for (const frame of frames) can.write(frame)
  await until('all have come', () => {
    for (let frame = can.read(); frame; frame = can.read()) got.push(frame)
    return got.length === frames.length
  })
  return got
}

test('standard, extended and remote frames come as they were sent', async () => {
  const { can } = overPipe()
  expect(await exchange(can, [standard, extended, remote])).toEqual([standard, extended, remote])
  expect(can.read()).toBeUndefined()
})

test('error frames are faults of the bus and no frames', async () => {
  let calls = 0
  const { can, fd } = overPipe(() => (calls += 1))
  const view = new DataView(new ArrayBuffer(16))
  view.setUint32(0, 0x2000_0000 | 0x40 | 0x20, true)
  writeSync(fd, view)
  await until('it has come', () => calls === 1)
  expect(can.takeFaults()).toEqual(['no acknowledge', 'bus-off'])
  expect(can.takeFaults()).toEqual([])
  expect(can.read()).toBeUndefined()
})

test('a reader that is late loses the oldest frames and is told how many', async () => {
  let calls = 0
  const { can } = overPipe(() => (calls += 1))
  for (let id = 0; id < 4100; id += 1) {
    can.write({ ...standard, id: id % 0x800, bytes: Uint8Array.of(id & 255) })
    if (id % 1000 === 999 || id === 4099) await until('they have come', () => calls === id + 1)
  }
  expect(can.droppedFrames).toBe(4)
  expect(can.read()).toMatchObject({ id: 4 })
})

test.each([
  { ...standard, id: 0x800 },
  { ...extended, id: 0x2000_0000 },
  { ...standard, bytes: new Uint8Array(9) },
  { ...standard, id: -1 },
])('what is no frame is refused', (frame) => {
  expect(() => overPipe().can.write(frame)).toThrow(expect.objectContaining({ code: 'out-of-range' }))
})

test('after close everything is closed', () => {
  const { can } = overPipe()
  can.close()
  can.close()
  expect(() => can.read()).toThrow(expect.objectContaining({ code: 'closed' }))
  expect(() => can.write(standard)).toThrow(expect.objectContaining({ code: 'closed' }))
})

test('an interface that is missing or down says so, with what to do', () => {
  const open = () => openCan(files().path('sys'), { bus: 'can-0', filters: everything })
  expect(open).toThrow(expect.objectContaining({ code: 'not-present' }))
  files().write({ 'sys/class/net/can0/flags': '0x40080\n', 'sys/class/net/can0/ifindex': '3\n' })
  expect(open).toThrow('can-0 (can0): is down, run: sudo ip link set can0 up type can bitrate 500000')
})

test('the machine has CAN as one more kind of IO, and closes what was opened with it', () => {
  const roots = { proc: files().path('proc'), sys: files().path('sys'), dev: files().path('dev') }
  const [board] = boards
  if (!board) throw new Error('no board')
  const io = createLinuxIo({ board, roots, host: testHost().host })
  expect(() => io.can({ bus: 'can-0', filters: everything })).toThrow(
    expect.objectContaining({ code: 'not-present' }),
  )
  io.close()
  expect(() => io.can({ bus: 'can-0', filters: everything })).toThrow(
    expect.objectContaining({ code: 'closed' }),
  )
})

function virtualInterface(name: string): string | undefined {
  try {
    execFileSync('ip', ['link', 'add', 'dev', name, 'type', 'vcan'], { stdio: 'pipe' })
    execFileSync('ip', ['link', 'set', name, 'up'], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `no virtual CAN interface can be made: ${error instanceof Error ? error.message.split('\n')[1] : ''}`
  }
}

test('frames pass between two sockets on a virtual interface, through the filters', async ({ skip }) => {
  const name = `vc${process.pid}`
  const why = virtualInterface(name)
  skip(why !== undefined, why)
  try {
    const filters = [{ id: 0x123, mask: 0x7ff, extended: false }]
    const receiver = openCan('/sys', { bus: name, filters })
    const sender = openCan('/sys', { bus: name, filters: [] })
    opened.push(receiver, sender)
    sender.write({ ...standard, id: 0x124 })
    sender.write(standard)
    let got: CanFrame | undefined
    await until('it has come', () => {
      got ??= receiver.read()
      return got !== undefined
    })
    expect(got).toEqual(standard)
  } finally {
    execFileSync('ip', ['link', 'delete', name])
  }
})
