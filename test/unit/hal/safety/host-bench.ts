/** A safety host on emulated pins and a clock that stands still until told, with levers for what can go wrong. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boards } from '../../../../boards/index.ts'
import type { Telemetry } from '../../../../hal/contract/component.ts'
import type { ActuatorDriver, OutputPort } from '../../../../hal/contract/driver.ts'
import { HalError } from '../../../../hal/contract/errors.ts'
import type { SafetyConfig } from '../../../../hal/contract/hardware-config.ts'
import type { DigitalBank, Io } from '../../../../hal/contract/io.ts'
import type { OutputValues, SafetyStatus } from '../../../../hal/contract/safety.ts'
import { parts as knownParts } from '../../../../hal/drivers/index.ts'
import { SafetyHost } from '../../../../hal/safety/host.ts'
import type { PlannedActuator, SafetyPlan } from '../../../../hal/safety/plan.ts'
import type { Watchdog } from '../../../../hal/safety/watchdog.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'

const base = {
  manufacturer: 'test',
  model: 'test',
  datasheet: 'none',
  options: {},
  connection: { bus: 'pins', pins: { signal: { use: 'output', help: 'the line' } } },
} as const

/** A lamp on a line whose level can be read back; a mismatch is a fault after 300 ms. */
export const lamp: ActuatorDriver = {
  ...base,
  role: 'actuator',
  id: 'test-lamp',
  name: 'Lamp',
  kind: () => 'light',
  outputs: () => [{ name: 'on', type: 'binary', safe: 0, min: 0, max: 1, readBackMsMax: 300 }],
  lines: (_, at) => ({ on: { pin: at.pins['signal'] ?? '', activeLow: false } }),
  plan: ({ state }) => ({ on: state === 'on' ? 1 : 0 }),
  telemetry: (values, _, readBack) => ({
    state: (readBack['on'] ?? values['on']) ? 'on' : 'off',
    attributes: {},
  }),
}

/** A heater behind a port of its own: its writes are kept, and fail while `port.fails`. */
export function heaterDriver(port: HeaterPort): ActuatorDriver {
  return {
    ...base,
    role: 'actuator',
    id: 'test-heater',
    name: 'Heater',
    kind: () => 'switch',
    outputs: () => [{ name: 'power', type: 'number', safe: 0, min: 0, max: 100 }],
    plan: ({ value }) => ({ power: Number(value) }),
    telemetry: ({ power = 0 }) => ({ state: String(power), attributes: {} }),
    open: async () => port.open(),
  }
}

export class HeaterPort {
  fails = false
  stalls: readonly string[] = []
  readonly writes: OutputValues[] = []
  opened = 0
  open(): OutputPort {
    if (this.fails) throw new HalError('no-acknowledge', 'the heater does not answer')
    this.opened += 1
    return {
      write: (values) => {
        if (this.fails) throw new HalError('no-acknowledge', 'the heater does not answer')
        this.writes.push(values)
      },
      stalled: () => this.stalls,
      [Symbol.asyncDispose]: async () => {},
    }
  }
}

export function part(id: string, driver: string, signal: number): PlannedActuator {
  const options = driver === 'relay' ? { as: 'switch', activeLow: false, normallyOn: false } : {}
  const rest = { exclusive: false, keepWithoutNetwork: false }
  return { id, driver, component: `switch.${id}`, at: { pins: { signal } }, options, ...rest }
}

interface BenchOptions {
  readonly actuators: readonly PlannedActuator[]
  readonly config?: SafetyConfig
  readonly port?: HeaterPort
  readonly safetyDir?: string
  /** Seen by the host of the kernel; default: alive for ever. */
  readonly isAlive?: () => boolean
}

/** Banks of `io` fail while `levers.fails`; `busyTimes` openings are refused. */
function failing(io: Io, levers: { fails: boolean; busyTimes: number }): Io {
  const check = () => {
    if (levers.fails) throw new HalError('other', 'the chip is gone')
  }
  return {
    ...io,
    digitalBank(options): DigitalBank {
      check()
      if (levers.busyTimes > 0) {
        levers.busyTimes -= 1
        throw new HalError('busy', 'the line is held by somebody else')
      }
      const bank = io.digitalBank(options)
      return {
        read: () => bank.read(),
        write: (value, mask) => {
          check()
          bank.write(value, mask)
        },
        close: () => bank.close(),
      }
    },
  }
}

export async function openBench({ actuators, config = {}, port, safetyDir, isAlive }: BenchOptions) {
  const dir = safetyDir ?? mkdtempSync(join(tmpdir(), 'ganglion-safety-'))
  const { host, clock, lines } = testHost()
  const board = boards.find(({ id }) => id === 'raspberrypi-5')
  if (!board) throw new Error('there is no Raspberry Pi 5')
  const world = createEmulatedIo({ host })
  const levers = { fails: false, busyTimes: 0 }
  const telemetry: (readonly [string, Telemetry])[] = []
  const changes: SafetyStatus[] = []
  const fed: ('open' | 'feed' | 'close')[] = []
  let beats = 0
  const watchdog: Watchdog = { feed: () => fed.push('feed'), close: () => fed.push('close') }
  const plan: SafetyPlan = {
    io: { kind: 'emulated', board },
    providers: [],
    sensors: [],
    actuators,
    config,
    safetyDir: dir,
  }
  const drivers = [...knownParts.map(({ driver }) => driver), lamp, heaterDriver(port ?? new HeaterPort())]
  const open = () =>
    SafetyHost.open(
      {
        host,
        io: failing(world.io, levers),
        board,
        drivers,
        beats: () => ((isAlive?.() ?? true) ? ++beats : beats),
        openWatchdog: () => {
          fed.push('open')
          return watchdog
        },
        onTelemetry: (...report) => telemetry.push(report),
        onChange: (status) => changes.push(status),
      },
      plan,
      new AbortController().signal,
    )
  /** The edge is heard now, and no time passes. */
  const drive = async (pin: number, level: 0 | 1 | undefined) => {
    world.drive(pin, level)
    await Promise.resolve()
  }
  return { dir, clock, lines, world, drive, levers, telemetry, changes, fed, plan, open }
}

export function removeDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true })
}

/** Takes a lease and commands under it, as a person would. */
export function commandOf(host: SafetyHost, component: string, principal = 'user') {
  const lease = host.acquire({ components: [component], principal, ttlMs: 60_000 })
  let sequence = 0
  return {
    lease,
    do(command: Readonly<Record<string, string | number>>, nowMs: number): void {
      sequence += 1
      const meta = { id: `${sequence}`, principal, ttlMs: 5_000, lease: { id: lease.id, sequence } }
      host.command(component, command, meta, nowMs)
    },
  }
}

export const on = { state: 'on' } as const
export const off = { state: 'off' } as const
