/** What an engine's supervisor may be told, and what it assumes otherwise. */
import type { BackoffOptions } from '../../base/retry.ts'
import type { EngineModel } from '../../wire/engine-protocol.ts'
import type { MemoryLimits } from './memory-watch.ts'

export interface EngineSupervisorOptions {
  readonly models: readonly EngineModel[]
  /** The engine's main module; from source when not given. */
  readonly entry?: string | URL
  readonly execArgv?: readonly string[]
  /** Threads of one session, where the model does not say. */
  readonly intraOpThreads?: number
  /** What all loaded models may take together, megabytes; absent: as much as there is. */
  readonly budgetMb?: number | undefined
  /** `lazy` starts the process at the first request or preload. */
  readonly start?: 'eager' | 'lazy'
  readonly restart?: BackoffOptions
  /** Requests under way or waiting; above it `overloaded`. */
  readonly queueMax?: number
  readonly startDeadlineMs?: number
  readonly loadDeadlineMs?: number
  /** After a deadline, how long the engine may stay silent: the longest single native run that is still healthy. */
  readonly graceMs?: number
  readonly stopDeadlineMs?: number
  /** When its memory has crept past its limit and it is replaced. */
  readonly memory?: MemoryLimits
  /** Resident memory past which it is ended at once, megabytes; absent: told by the budget, without one none. */
  readonly memoryMaxMb?: number | undefined
  /** While it works, its memory is read this often. */
  readonly readEveryMs?: number
  /** How long a replacement waits for what runs. */
  readonly drainMsMax?: number
}

export const supervisorDefaults = {
  entry: new URL('../engine/main.ts', import.meta.url),
  execArgv: [],
  intraOpThreads: 1,
  budgetMb: undefined,
  start: 'lazy',
  restart: { firstMs: 100, maxMs: 10_000 },
  queueMax: 64,
  startDeadlineMs: 15_000,
  loadDeadlineMs: 60_000,
  graceMs: 5_000,
  stopDeadlineMs: 2_000,
  // Two minutes of speech and what its decoder holds are some 100 MB; a minute of readings is no peak.
  memoryMaxMb: undefined,
  memory: { allowanceMb: 160, readings: 3, restMs: 600_000 },
  readEveryMs: 20_000,
  drainMsMax: 10_000,
} as const
