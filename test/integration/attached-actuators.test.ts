/** Attached actuators behind the real safety thread, on emulated parts: leases, denials, expiry, and one board for all. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { boards } from '../../boards/index.ts'
import type { Actuator } from '../../hal/contract/actuator.ts'
import type { OpenBoard } from '../../hal/contract/board.ts'
import type { HardwareConfig } from '../../hal/contract/hardware-config.ts'
import { createHal } from '../../hal/index.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Actuation } from '../../runtime/things/actuation.ts'
import { attachBoard } from '../../runtime/things/hal-source.ts'
import { Leases } from '../../runtime/things/leases.ts'
import { EntityRegistry } from '../../runtime/things/registry.ts'
import { attach } from '../fixtures/hardware/attached.ts'

const signal = AbortSignal.timeout(120_000)
const boiler = { driver: 'relay', id: 'boiler', pin: 11 }
const pump = { driver: 'relay', id: 'pump', pin: 13 }

describe('behind the safety thread', () => {
  it('moves under a lease, is safe without one, and goes safe when it ends', async () => {
    await using test = await attach([boiler])
    const actuator = test.component('switch.boiler') as Actuator
    const { safety } = test.attached
    await test.until('switch.boiler', ({ state }) => state === 'off')
    const meta = { id: 'c1', principal: 'user', ttlMs: 5_000 }
    await expect(actuator.command({ state: 'on' }, meta, signal)).rejects.toMatchObject({
      code: 'permission',
    })
    const lease = await safety?.acquire({ components: ['switch.boiler'], principal: 'user', ttlMs: 800 })
    await actuator.command({ state: 'on' }, { ...meta, lease: { id: lease?.id ?? '', sequence: 1 } }, signal)
    await test.until('switch.boiler', ({ state }) => state === 'on')
    expect((await test.attached.emulate('boiler', 'look'))['on']).toBe(1)
    await test.until('switch.boiler', ({ state }) => state === 'off')
    expect((await test.attached.emulate('boiler', 'look'))['on']).toBe(0)
  })

  it('an expander that an actuator uses is there, too', async () => {
    await using test = await attach([
      { driver: 'mcp23017', id: 'porch', bus: 'i2c-1', address: 0x20 },
      { driver: 'relay', id: 'lamp', pin: 'porch:3', options: { as: 'light' } },
    ])
    const { safety } = test.attached
    const lease = await safety?.acquire({ components: ['light.lamp'], principal: 'user', ttlMs: 1_500 })
    const meta = { id: 'c1', principal: 'user', ttlMs: 5_000, lease: { id: lease?.id ?? '', sequence: 1 } }
    await (test.component('light.lamp') as Actuator).command({ state: 'on' }, meta, signal)
    await test.until('light.lamp', ({ state }) => state === 'on')
    // It is on for longer than a relay's line may differ: what the chip says of its latches is what was written.
    await test.until('light.lamp', ({ state }) => state === 'off')
    expect((await safety?.status())?.faults).toEqual([])
  })
})

/** The simulated board with hardware, registry, actuation and leases, as the runtime puts them together. */
async function device(hardware: HardwareConfig, networkGraceMs = 60_000) {
  const directory = mkdtempSync(join(tmpdir(), 'ganglion-actuators-'))
  const host = { clock: realClock, log: silentLog, random: Math.random }
  const home = {
    name: 'test',
    yaml: 'areas: [{ id: kitchen, name: Kitchen }]\nentities: []\n',
  }
  const board: OpenBoard = await createHal(boards).openBoard(
    { home, hostSensors: false, hardware, safetyDir: join(directory, 'safety') },
    host,
    signal,
  )
  const registry = new EntityRegistry(board.layout.areas)
  if (!board.safety) throw new Error('no safety')
  const leases = new Leases(
    { clock: realClock, log: silentLog, safety: board.safety },
    { networkGraceMs, keeps: () => false },
  )
  const actuation = new Actuation({ clock: realClock, registry, authority: leases })
  const detach = attachBoard(board, registry, actuation)
  return {
    board,
    leases,
    state: (id: string) => registry.get(id)?.telemetry.state,
    command: (entity: string, command: Record<string, unknown>) =>
      actuation.run({ entity, command, principal: 'user' }, signal),
    run: (entity: string, state: string, principal = 'user', viaNetwork = false) =>
      actuation.run({ entity, command: { state }, principal, viaNetwork }, signal),
    until: (id: string, state: string) => untilState(registry, id, state),
    async [Symbol.asyncDispose]() {
      detach()
      await leases[Symbol.asyncDispose]()
      await board[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function untilState(registry: EntityRegistry, id: string, state: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = () => {
    if (registry.get(id)?.telemetry.state === state) resolve()
  }
  const cancel = registry.onReport(look)
  const timer = setTimeout(() => reject(new Error(`${id} is ${registry.get(id)?.telemetry.state}`)), 15_000)
  look()
  return promise.finally(() => {
    cancel()
    clearTimeout(timer)
  })
}

describe('commanded through the device', () => {
  it('done means that telemetry shows it; it stays on for as long as the device holds it', async () => {
    await using test = await device({ parts: [{ ...boiler, area: 'Kitchen' }] })
    expect(test.board.layout.areas.map(({ name }) => name)).toEqual(['Kitchen'])
    expect(await test.run('switch.boiler', 'on')).toMatchObject({
      outcome: 'done',
      evidence: { observed: { state: 'on' } },
    })
    expect((await test.board.safety?.status())?.leases).toMatchObject([{ principal: 'user' }])
    await test.leases[Symbol.asyncDispose]()
    await test.until('switch.boiler', 'off')
  })

  it('a number is set within its range, and beyond it refused', async () => {
    await using test = await device({ parts: [{ driver: 'servo', id: 'flap', pin: 12 }] })
    const [flap] = test.board.actuators
    expect(flap?.info).toMatchObject({ id: 'number.flap', range: { min: 0, max: 180 }, unit: '°' })
    expect(await test.command('number.flap', { value: 45 })).toMatchObject({
      outcome: 'done',
      evidence: { observed: { state: expect.stringMatching(/^4[45]/) } },
    })
    await test.until('number.flap', '45')
    expect(await test.command('number.flap', { value: 400 })).toMatchObject({ outcome: 'refused' })
    expect(test.state('number.flap')).toBe('45')
  })

  it('what a rule forbids is refused with the rule’s reason', async () => {
    await using test = await device({
      parts: [boiler, pump],
      safety: {
        constraints: [{ rule: 'mutex', outputs: ['boiler.on', 'pump.on'], because: 'one fuse feeds both' }],
      },
    })
    expect(await test.run('switch.boiler', 'on')).toMatchObject({ outcome: 'done' })
    const refused = await test.run('switch.pump', 'on')
    expect(refused).toMatchObject({
      outcome: 'refused',
      evidence: { reason: expect.stringMatching(/one fuse feeds both/) },
    })
    expect(test.state('switch.pump')).toBe('off')
  })

  it('an exclusive part is not taken from a person by an agent', async () => {
    await using test = await device({ parts: [{ ...boiler, exclusive: true }] })
    expect(await test.run('switch.boiler', 'on')).toMatchObject({ outcome: 'done' })
    expect(await test.run('switch.boiler', 'off', 'agent:gardener')).toMatchObject({ outcome: 'refused' })
    expect(test.state('switch.boiler')).toBe('on')
  })

  it('what the network commanded goes safe when it stays away; what a person at the device did stays', async () => {
    await using test = await device({ parts: [boiler, pump] }, 300)
    expect(await test.run('switch.boiler', 'on', 'mqtt', true)).toMatchObject({ outcome: 'done' })
    expect(await test.run('switch.pump', 'on')).toMatchObject({ outcome: 'done' })
    test.leases.network(false)
    await test.until('switch.boiler', 'off')
    expect(test.state('switch.pump')).toBe('on')
  })
})

describe('a board with hardware that cannot be', () => {
  const open = (hardware: HardwareConfig) =>
    createHal(boards).openBoard(
      {
        home: {
          name: 'test',
          yaml: 'areas: []\nentities: [{ id: switch.boiler, name: Boiler, state: "off" }]\n',
        },
        hostSensors: false,
        hardware,
        safetyDir: '/nonexistent/safety',
      },
      { clock: realClock, log: silentLog, random: Math.random },
      signal,
    )

  it('is refused where the simulated home has the entity already', async () => {
    await expect(open({ parts: [boiler] })).rejects.toMatchObject({
      code: 'malformed',
      message: 'hardware.parts[0] (boiler): there is already a switch.boiler: give the part another id',
    })
  })

  it('is refused as malformed, with every mistake', async () => {
    await expect(
      open({ parts: [boiler, { ...pump, pin: 11 }, { driver: 'x', id: 'y' }] }),
    ).rejects.toMatchObject({
      code: 'malformed',
      message: expect.stringMatching(
        /^hardware\.parts\[1\] \(pump\): pin 11 is already used by hardware\.parts\[0\] \(boiler\); and 1 more mistake: hardware\.parts\[2\]/,
      ),
    })
  })
})
