/** Buttons and switches, through a pipe that stands for the kernel's event node. */
import { closeSync, writeSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { HalError } from '../../../../hal/contract/errors.ts'
import { listInputs, watchInput } from '../../../../hal/index.ts'
import type { InputChange } from '../../../../hal/linux/evdev.ts'
import { openWriter, until, useFiles } from './files.ts'

const files = useFiles()
const roots = () => ({ sys: files().path('sys'), dev: files().path('dev') })

function event(type: number, code: number, value: number, timeUs = 0n): Uint8Array {
  const view = new DataView(new ArrayBuffer(24))
  view.setBigInt64(0, timeUs / 1_000_000n, true)
  view.setBigInt64(8, timeUs % 1_000_000n, true)
  view.setUint16(16, type, true)
  view.setUint16(18, code, true)
  view.setInt32(20, value, true)
  return new Uint8Array(view.buffer)
}

function gpioKeys(): string {
  files().write({
    'sys/class/input/event2/device/name': 'gpio-keys\n',
    'sys/class/input/event2/device/phys': 'gpio-keys/input0\n',
    'sys/class/input/mouse0/device/name': 'a mouse\n',
  })
  return files().fifo('dev/input/event2')
}

test('presses and releases of keys and switches are reported, repeats and other events are not', async () => {
  const node = gpioKeys()
  const changes: InputChange[] = []
  const onError = (error: HalError) => {
    throw error
  }
  using _ = await watchInput(roots(), 'gpio-keys', { onChange: (change) => changes.push(change), onError })
  const writer = await openWriter(node)
  const bytes = [event(1, 116, 1, 1_234_567n), event(0, 0, 0), event(1, 116, 2), event(2, 0, 5)]
  writeSync(writer, Buffer.concat([...bytes, event(1, 116, 0), event(0, 3, 0), event(5, 0, 1)]))
  await until('all have come', () => changes.length === 3)
  expect(changes).toEqual([
    { kind: 'key', code: 116, on: true, timeUs: 1_234_567n, afterLoss: false },
    { kind: 'key', code: 116, on: false, timeUs: 0n, afterLoss: false },
    { kind: 'switch', code: 0, on: true, timeUs: 0n, afterLoss: true },
  ])
  closeSync(writer)
})

test('a device is found by phys too, and one that is unplugged is reported once', async () => {
  const node = gpioKeys()
  const errors: HalError[] = []
  const listeners = { onChange: () => {}, onError: (error: HalError) => errors.push(error) }
  using _ = await watchInput(roots(), 'gpio-keys/input0', listeners)
  closeSync(await openWriter(node))
  await until('it is reported', () => errors.length > 0)
  expect(errors).toMatchObject([{ code: 'not-present' }])
})

test('event nodes are listed by name, other input nodes are not', async () => {
  gpioKeys()
  expect(await listInputs(files().path('sys'))).toEqual([
    { node: 'event2', name: 'gpio-keys', phys: 'gpio-keys/input0' },
  ])
})

test('an unknown device says which there are', async () => {
  gpioKeys()
  const listeners = { onChange: () => {}, onError: () => {} }
  await expect(watchInput(roots(), 'door', listeners)).rejects.toMatchObject({
    code: 'not-present',
    message: 'input door: no such device; there are: gpio-keys',
  })
})
