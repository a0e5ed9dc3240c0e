import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BadMessages } from '../../../gateway/api/bad-messages.ts'
import { CommandTimeline, runsMax } from '../../../gateway/api/command-timeline.ts'
import { type Change, DeviceDirectory } from '../../../gateway/api/device-directory.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { createLog } from '../../../runtime/base/log.ts'
import type { CommandEvent } from '../../../runtime/wire/messages.ts'
import type { DeviceTopic } from '../../../runtime/wire/topics.ts'

const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const home = (id: string, entities: number) => ({
  v: 1,
  device: { id, name: id, board: 'b', simulated: true, version: '1' },
  areas: [],
  entities: Array.from({ length: entities }, (_, n) => ({
    id: `light.n${n}`,
    kind: 'light',
    name: 'N',
    simulated: true,
  })),
})
const state = (text: string) => ({ v: 1, state: text, attributes: {}, ts: 1 })

function open() {
  const bad: string[] = []
  const directory = new DeviceDirectory((device, reason) => bad.push(`${device}: ${reason}`))
  directory.connection(true)
  return { directory, bad }
}

describe('DeviceDirectory', () => {
  it('is the same whatever order the retained messages come in', () => {
    const messages: [DeviceTopic, Buffer][] = [
      [{ kind: 'home', device: 'd' }, json(home('d', 2))],
      [{ kind: 'availability', device: 'd' }, Buffer.from('online')],
      [{ kind: 'state', device: 'd', entity: 'light.n0' }, json(state('on'))],
      [{ kind: 'state', device: 'd', entity: 'light.n1' }, json(state('off'))],
    ]
    const order = fc.shuffledSubarray(messages, { minLength: 4 })
    fc.assert(
      fc.property(order, (ordered) => {
        const { directory, bad } = open()
        for (const [topic, payload] of ordered) directory.apply(topic, payload)
        expect(directory.entities().map(({ id, state: is, available }) => [id, is, available])).toEqual([
          ['light.n0', 'on', true],
          ['light.n1', 'off', true],
        ])
        expect(bad).toEqual([])
      }),
    )
  })

  it('an empty home or state removes it, and an unknown one changes nothing', () => {
    const { directory } = open()
    directory.apply({ kind: 'home', device: 'd' }, json(home('d', 1)))
    directory.apply({ kind: 'state', device: 'd', entity: 'light.n0' }, json(state('on')))
    directory.apply({ kind: 'state', device: 'd', entity: 'light.n0' }, Buffer.alloc(0))
    expect(directory.entities()[0]?.state).toBe('unknown')
    expect(directory.apply({ kind: 'home', device: 'd' }, Buffer.alloc(0))).toEqual([
      { kind: 'device', device: 'd', reason: 'removed' },
    ])
    expect(directory.apply({ kind: 'home', device: 'd' }, Buffer.alloc(0))).toEqual([])
    expect(directory.devices()).toEqual([])
  })

  it('sweep() removes exactly the devices that were not heard of since the messages began to repeat', () => {
    const { directory } = open()
    for (const device of ['stays', 'goes'])
      directory.apply({ kind: 'availability', device }, Buffer.from('online'))
    directory.repeating()
    directory.apply({ kind: 'availability', device: 'stays' }, Buffer.from('online'))
    expect(directory.sweep()).toEqual([{ kind: 'device', device: 'goes', reason: 'removed' }])
    expect(directory.devices().map(({ id }) => id)).toEqual(['stays'])
  })

  it('[api-2] keeps at most 64 devices', () => {
    const { directory, bad } = open()
    for (let n = 0; n < 70; n += 1)
      directory.apply({ kind: 'availability', device: `d${n}` }, Buffer.from('online'))
    expect(directory.devices()).toHaveLength(64)
    expect(bad).toHaveLength(6)
  })

  it('[api-2] keeps at most 500 states of a device, named in its home or not', () => {
    const { directory, bad } = open()
    const changes: Change[] = []
    for (let n = 0; n < 501; n += 1)
      changes.push(
        ...directory.apply({ kind: 'state', device: 'd', entity: `light.x${n}` }, json(state('on'))),
      )
    expect(changes).toHaveLength(500)
    expect(bad).toEqual(['d: state/light.x500: more than 500'])
  })

  it('[api-2] keeps at most 32 MB, and takes more once something was removed', () => {
    const { directory, bad } = open()
    const big = { ...state('on'), attributes: { blob: 'x'.repeat(16_000) } }
    let kept = 0
    for (let n = 0; n < 2_200; n += 1) {
      const device = `d${n % 60}`
      kept += directory.apply({ kind: 'state', device, entity: `e.${n}` }, json(big)).length
    }
    expect(kept).toBeGreaterThan(2_000)
    expect(bad.at(-1)).toMatch(/more than 33554432 bytes/)
    directory.apply({ kind: 'state', device: 'd0', entity: 'e.0' }, Buffer.alloc(0))
    expect(directory.apply({ kind: 'state', device: 'd1', entity: 'new.one' }, json(big))).toHaveLength(1)
  })

  it('[api-1] never throws, whatever the payload', () => {
    const kinds = fc.constantFrom(
      { kind: 'home', device: 'd' } as const,
      { kind: 'availability', device: 'd' } as const,
      { kind: 'state', device: 'd', entity: 'e.x' } as const,
      { kind: 'event', device: 'd', event: 'command' } as const,
    )
    const payload = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(kinds, payload, (topic, bytes) => {
        const { directory } = open()
        directory.apply(topic, bytes)
        expect(directory.entities()).toEqual([])
      }),
    )
  })
})

const event = (id: string, run: string, sinceMs = 0): CommandEvent => ({
  v: 1,
  id,
  run,
  stage: 'heard',
  sinceMs,
  ts: 1,
})

describe('CommandTimeline', () => {
  it('keeps the last runs and 200 events of each', () => {
    const timeline = new CommandTimeline()
    for (let n = 0; n < runsMax + 5; n += 1) timeline.add('d', event(`e${n}`, `r${n}`))
    for (let n = 0; n < 250; n += 1) timeline.add('d', event(`x${n}`, 'long', n))
    const recent = timeline.recent(1000)
    expect(recent).toHaveLength(runsMax)
    expect(recent[0]).toMatchObject({ run: 'long', device: 'd' })
    expect(recent[0]?.events).toHaveLength(200)
    expect(recent.at(-1)?.run).toBe('r6')
  })

  it('runs of two devices with the same id stay apart', () => {
    const timeline = new CommandTimeline()
    expect(timeline.add('a', event('e', 'r'))).toBe(true)
    expect(timeline.add('b', event('e', 'r'))).toBe(true)
    expect(timeline.add('b', event('e', 'r'))).toBe(false)
    expect(timeline.recent(10).map(({ device }) => device)).toEqual(['b', 'a'])
  })
})

describe('[api-1] BadMessages', () => {
  it('logs a device once a minute and forgets its problem after five', () => {
    const clock = new VirtualClock()
    const lines: string[] = []
    const log = createLog({ level: 'info', json: false, write: (line) => lines.push(line), nowMs: () => 0 })
    const bad = new BadMessages(clock, log)
    for (let n = 0; n < 10; n += 1) bad.count('d', 'not JSON')
    expect(lines).toHaveLength(1)
    clock.advance(60_000)
    bad.count('d', 'not JSON')
    expect(lines).toHaveLength(2)
    expect(bad.problems()).toEqual(['d sent 11 bad messages, last: not JSON'])
    clock.advance(5 * 60_000)
    expect([bad.problems(), bad.total]).toEqual([[], 11])
  })
})
