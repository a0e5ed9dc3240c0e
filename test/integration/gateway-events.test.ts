/** Server-Sent Events over real sockets; the numbers are those of gateway/api/README.md. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { until } from './broker-raw.ts'
import { ask, eventOf, openGateway, ScriptedDevice } from './gateway-device.ts'
import { Page } from './gateway-page.ts'

let gateway: Gateway
let device: ScriptedDevice
beforeEach(async () => {
  gateway = await openGateway()
  device = await ScriptedDevice.open(gateway.mqttUrl)
  await device.online()
  await until('seen', () => gateway.health().devices[0]?.availability === 'online')
})
afterEach(async () => {
  await device[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

it('a page hears changed entities, steps of commands and devices that come and go', async () => {
  using page = await Page.open(gateway.httpUrl)
  await device.state('light.ceiling', 'on', { brightness: 200 })
  await device.event(eventOf('e1', 'r1', { text: 'lamp on' }))
  await device.availability('offline')
  await until('all heard', () => page.of('device').length > 0)
  expect(page.of('entity')[0]?.data).toMatchObject({
    device: 'dev-1',
    id: 'light.ceiling',
    areaName: 'Kitchen',
    state: 'on',
    attributes: { brightness: 200 },
    available: true,
  })
  expect(page.of('command')[0]?.data).toMatchObject({ device: 'dev-1', id: 'e1', run: 'r1', stage: 'heard' })
  expect(page.of('device')[0]?.data).toMatchObject({
    id: 'dev-1',
    availability: 'offline',
    reason: 'availability',
  })
})

it('an event that was delivered twice is sent once', async () => {
  using page = await Page.open(gateway.httpUrl)
  for (const id of ['e1', 'e1', 'e2']) await device.event(eventOf(id, 'r1'))
  await until('the last heard', () => page.of('command').some(({ data }) => data.id === 'e2'))
  expect(page.of('command').map(({ data }) => data.id)).toEqual(['e1', 'e2'])
})

describe('[api-8] a page that comes back', () => {
  it('gets exactly what it missed', async () => {
    const page = await Page.open(gateway.httpUrl)
    await device.event(eventOf('e1', 'r1'))
    await until('heard', () => page.of('command').length === 1)
    page[Symbol.dispose]()
    await until('left', () => gateway.health().pages.listening === 0)
    for (const id of ['e2', 'e3']) await device.event(eventOf(id, 'r1'))
    await until(
      'recorded',
      async () => (await ask(`${gateway.httpUrl}/api/commands`)).body.runs[0].events.length === 3,
    )
    using back = await Page.open(gateway.httpUrl, page.events.at(-1)?.id)
    await device.event(eventOf('e4', 'r1'))
    await until('heard', () => back.of('command').length === 3)
    expect(back.events.map(({ data }) => data.id)).toEqual(['e2', 'e3', 'e4'])
  })

  it('from another start, or after too long, is told to load everything again', async () => {
    using stranger = await Page.open(gateway.httpUrl, 'abcdefgh-3')
    await until('told', () => stranger.of('reset').length === 1)
    using nonsense = await Page.open(gateway.httpUrl, 'nonsense')
    await until('told', () => nonsense.of('reset').length === 1)
    using page = await Page.open(gateway.httpUrl)
    await device.state('light.ceiling', 's')
    await until('heard', () => page.events.length === 1)
    for (let n = 0; n < 1001; n += 1) await device.state('light.ceiling', `s${n}`)
    await until('all heard', () => page.events.length === 1002)
    using late = await Page.open(gateway.httpUrl, page.events[0]?.id)
    await until('told', () => late.of('reset').length === 1)
  })
})

describe('[api-2] pages are bounded', () => {
  it('a page beyond the maximum is refused until another leaves', async () => {
    const pages = await Promise.all(Array.from({ length: 32 }, () => Page.open(gateway.httpUrl)))
    const refused = await ask(`${gateway.httpUrl}/api/events`)
    expect([refused.status, refused.body.error.code]).toEqual([429, 'busy'])
    pages.pop()?.[Symbol.dispose]()
    await until('left', () => gateway.health().pages.listening === 31)
    using again = await Page.open(gateway.httpUrl)
    expect(again.closed).toBe(false)
    for (const page of pages) page[Symbol.dispose]()
  })

  it('[api-8] a page that does not read is dropped, the others hear everything', async () => {
    using slow = await Page.open(gateway.httpUrl)
    slow.response.pause()
    slow.response.socket.pause()
    using healthy = await Page.open(gateway.httpUrl)
    const attributes = { blob: 'x'.repeat(15_000) }
    let sent = 0
    while (gateway.health().pages.dropped === 0) {
      for (let n = 0; n < 50; n += 1, sent += 1) await device.state('light.ceiling', String(sent), attributes)
      expect(sent).toBeLessThan(5000)
      await until('heard', () => healthy.of('entity').length === sent)
    }
    expect(healthy.of('entity').map(({ data }) => Number(data.state))).toEqual(
      Array.from({ length: sent }, (_, n) => n),
    )
  })
})

it('a page hears a comment now and then while nothing happens', async () => {
  // Only the heartbeat is that long: 15 s pass in 50 ms.
  const clock = {
    ...realClock,
    after: (delayMs: number, fn: () => void) => realClock.after(delayMs === 15_000 ? 50 : delayMs, fn),
  }
  await using quick = await openGateway({ clock })
  using page = await Page.open(quick.httpUrl)
  await until('two comments', () => page.comments >= 2)
})

it('closing the gateway ends the pages', async () => {
  using page = await Page.open(gateway.httpUrl)
  await gateway[Symbol.asyncDispose]()
  await until('closed', () => page.closed)
})
