/** The device's own account of itself: processes and their memory, models, link, and what is not as it should be. */
import type { OpenBoard } from '../../hal/contract/board.ts'
import type { SafetyStatus } from '../../hal/contract/safety.ts'
import type { Clock } from '../base/clock.ts'
import { version } from '../base/version.ts'
import type { DeviceConfig } from '../config/config.ts'
import type { DeviceInference } from '../inference/device-inference.ts'
import type { Link } from '../link/session.ts'
import type { Perception } from '../perception/perception.ts'
import type { Voice } from '../perception/voice.ts'
import type { StatusResult } from '../wire/messages.ts'
import { sharedMax, type TopResult } from '../wire/top.ts'
import { inferenceStatus } from './inference-status.ts'
import { pssMb } from './memory.ts'

export interface StatusDeps {
  readonly clock: Clock
  readonly config: DeviceConfig
  readonly board: OpenBoard
  readonly link: Link
  /** Absent where it is switched off. */
  readonly voice: Voice | undefined
  readonly perception: Perception
  readonly inference: DeviceInference
  /** What its agents use; absent where no agents may run. */
  readonly top: (() => Promise<TopResult>) | undefined
  /** Monotonic time at which the device was up. */
  readonly openedMs: number
}

export async function deviceStatus(deps: StatusDeps): Promise<StatusResult> {
  const { clock, config, board, link, voice } = deps
  const { problem, connected, broker, outboxEvents, outboxBytes, outboxDropped, badMessages } = link.stats()
  const inference = await inferenceStatus(deps.inference)
  const lines = [problem, voice?.problem, ...deps.perception.problems, ...inference.problems]
  const problems = lines.filter((line) => line !== undefined)
  const accelerators = await deps.inference.accelerators.status()
  for (const { id, reason } of accelerators) if (reason) problems.push(`accelerator ${id}: ${reason}`)
  const safety = board.safety && (await board.safety.status())
  problems.push(...safetyProblems(safety))
  if (outboxDropped > 0) problems.push(`${outboxDropped} events were dropped because the outbox was full`)
  if (badMessages > 0) problems.push(`${badMessages} malformed messages were ignored`)
  return {
    device: {
      id: config.id,
      board: board.board.name,
      recognisedBy: board.recognisedBy,
      simulated: board.simulated,
      version,
      uptimeMs: Math.round(clock.monotonicMs() - deps.openedMs),
    },
    processes: await processes(inference.processes),
    models: inference.models,
    engine: inference.engine,
    ...(accelerators.length > 0 ? { accelerators } : {}),
    link: { connected, broker, outboxEvents, outboxBytes, outboxDropped },
    ...(board.camera ? { camera: { id: board.camera.info.id, name: board.camera.info.name } } : {}),
    ...(safety ? { safety: safetyOnTheWire(safety) } : {}),
    ...accountsOf(await deps.top?.()),
    problems,
  }
}

/** Where actuators are attached and may not move, why. */
function safetyProblems(safety: SafetyStatus | undefined): string[] {
  if (!safety) return []
  const stopped = safety.emergencyStop ? ['the emergency stop is pressed'] : []
  const disarmed = safety.armed
    ? []
    : [`actuators are not armed: ${safety.notArmedBecause.join('; ') || 'no reason is given'}`]
  return [...stopped, ...disarmed, ...safety.faults.map(({ message }) => `fault: ${message}`)]
}

/** In the order of their names: what is left out where there are too many does not change with every look. */
function accountsOf(top: TopResult | undefined): Pick<StatusResult, 'agents'> {
  if (!top || top.agents.length === 0) return {}
  const list = top.agents.map(({ name, state, turns, memoryBytes, used }) => ({
    ...{ name, state, turns, memoryBytes, used },
  }))
  return {
    agents: {
      list: list.toSorted((one, other) => (one.name < other.name ? -1 : 1)),
      more: top.more,
      resources: top.resources.filter(({ fared }) => fared).slice(0, sharedMax),
    },
  }
}

function safetyOnTheWire(safety: SafetyStatus): NonNullable<StatusResult['safety']> {
  const { armed, emergencyStop, watchdog, denials } = safety
  return {
    armed,
    notArmedBecause: [...safety.notArmedBecause],
    emergencyStop,
    faults: safety.faults.map((fault) => ({ ...fault, components: [...fault.components] })),
    leases: safety.leases.map(({ components, principal, leftMs }) => ({
      components: [...components],
      principal,
      leftMs,
    })),
    watchdog,
    denials,
  }
}

async function processes(
  engines: readonly { readonly pid: number | undefined; readonly state: string }[],
): Promise<StatusResult['processes']> {
  const list = [await processEntry('runtime', process.pid, 'running')]
  for (const [index, { pid, state }] of engines.entries()) {
    const name = engines.length === 1 ? 'engine' : `engine ${index + 1}`
    list.push(pid === undefined ? { name, pid: 0, state } : await processEntry(name, pid, state))
  }
  return list
}

async function processEntry(
  name: string,
  pid: number,
  state: string,
): Promise<StatusResult['processes'][number]> {
  const pss = await pssMb(pid)
  return { name, pid, state, ...(pss === undefined ? {} : { pssMb: pss }) }
}
