/** 1-Wire slaves, against made-up files of the kernel. */
import { mkdirSync, rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { listOneWire } from '../../../../hal/index.ts'
import { openOneWire } from '../../../../hal/linux/one-wire.ts'
import { never, useFiles } from './files.ts'

const files = useFiles()
const address = '28-0000075a1b2c'
const at = { bus: 'w1-0', address }
const slave = `sys/bus/w1/devices/${address}/w1_slave`

test('the scratchpad is the nine bytes that the kernel prints, whatever it says of their CRC', async () => {
  files().write({
    [slave]: '72 01 4b 46 7f ff 0e 10 57 : crc=57 NO\n72 01 4b 46 7f ff 0e 10 57 t=23125\n',
  })
  const wire = openOneWire(files().path('sys'), at)
  expect([...(await wire.scratchpad(never))]).toEqual([0x72, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0e, 0x10, 0x57])
})

test.each([
  ['no-acknowledge', ''],
  ['malformed', '72 01 4b : crc=57 YES\n'],
  ['malformed', 'nonsense'],
])('%s when the kernel gives "%s"', async (code, text) => {
  files().write({ [slave]: text })
  await expect(openOneWire(files().path('sys'), at).scratchpad(never)).rejects.toMatchObject({ code })
})

test('a slave that is gone is not-present, and answers again when it is back', async () => {
  const wire = openOneWire(files().path('sys'), at)
  await expect(wire.scratchpad(never)).rejects.toMatchObject({
    code: 'not-present',
    message: expect.stringContaining(`w1-0 ${address}`),
  })
  files().write({ [slave]: '00 00 00 00 00 00 00 00 00 : crc=00 YES\n' })
  expect((await wire.scratchpad(never)).length).toBe(9)
  rmSync(files().path(slave))
  await expect(wire.scratchpad(never)).rejects.toMatchObject({ code: 'not-present' })
})

test('what is no address is refused, so that no other file is ever read', () => {
  for (const wrong of ['../../etc', '28-0000075a1b2', '28-0000075A1B2C'])
    expect(() => openOneWire(files().path('sys'), { bus: 'w1-0', address: wrong })).toThrow(
      expect.objectContaining({ code: 'out-of-range' }),
    )
})

test('an aborted signal and a closed slave read nothing', async () => {
  const wire = openOneWire(files().path('sys'), at)
  await expect(wire.scratchpad(AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
  wire.close()
  await expect(wire.scratchpad(never)).rejects.toMatchObject({ code: 'closed' })
})

test('the list has slaves only, and is empty without a bus', async () => {
  expect(await listOneWire(files().path('sys'))).toEqual([])
  files().write({ [slave]: '' })
  mkdirSync(files().path('sys/bus/w1/devices/w1_bus_master1'))
  expect(await listOneWire(files().path('sys'))).toEqual([address])
})
