/** How the gateway is: what GET /api/health answers. `problems` has one line for each thing that is not as it should be. */
import type { Broker, BrokerStats } from '../broker/broker.ts'
import type { OffloadListener, OffloadListenerStats } from '../offload/listener.ts'
import type { InferenceService, ServiceHealth } from '../offload/service.ts'
import type { Site } from './site.ts'

export interface Health {
  readonly status: 'ok' | 'degraded'
  readonly version: string
  readonly uptimeMs: number
  readonly broker: {
    readonly url: string
    readonly connected: boolean
    readonly builtIn: boolean
  } & Partial<BrokerStats>
  readonly devices: readonly ReturnType<Site['deviceSummary']>[]
  readonly inference: ServiceHealth
  readonly offload: OffloadListenerStats
  readonly badMessages: number
  readonly pages: { readonly listening: number; readonly dropped: number }
  readonly problems: readonly string[]
}

export interface HealthDeps {
  readonly version: string
  readonly uptimeMs: number
  readonly site: Site
  /** Absent: another broker is used. */
  readonly broker?: Broker
  readonly inference: InferenceService
  readonly offload: OffloadListener
}

export function readHealth(deps: HealthDeps): Health {
  const { version, uptimeMs, site, broker, inference: service } = deps
  const offload = deps.offload.stats()
  const devices = site.directory.devices().map(({ id }) => site.deviceSummary(id))
  const stats = broker?.stats()
  const inference = service.health()
  const problems = [
    ...brokerProblems(site, stats),
    ...(devices.length === 0 ? ['no device has been seen'] : []),
    ...devices.filter((one) => one.availability === 'offline').map(({ id }) => `device ${id} is offline`),
    ...site.badMessages.problems(),
    ...inferenceProblems(inference),
    ...(deps.offload.problem === undefined ? [] : [deps.offload.problem]),
  ]
  const { bus, events } = site
  return {
    status: problems.length === 0 ? 'ok' : 'degraded',
    version,
    uptimeMs,
    broker: { url: bus.url, connected: bus.connected, builtIn: broker !== undefined, ...stats },
    devices,
    inference,
    offload,
    badMessages: site.badMessages.total,
    pages: { listening: events.consumers, dropped: events.dropped },
    problems,
  }
}

function inferenceProblems({ backends }: ServiceHealth): string[] {
  return backends.flatMap(({ id, state, reason, open }) => [
    ...(reason === undefined
      ? []
      : [`inference backend ${id} is ${state === 'ok' ? 'incomplete' : state}: ${reason}`]),
    ...open.map((model) => `inference backend ${id} failed lately with ${model}`),
  ])
}

function brokerProblems({ bus }: Site, stats: BrokerStats | undefined): string[] {
  const problems: string[] = []
  if (!bus.connected)
    problems.push(`no connection to the broker ${bus.url}: ${bus.lastError ?? 'connecting'}`)
  if (stats && stats.retained.refused > 0)
    problems.push(`the broker's retained store was full: ${stats.retained.refused} messages are not retained`)
  if (stats && stats.queued.dropped > 0)
    problems.push(
      `the broker's queues were full: ${stats.queued.dropped} messages for absent clients were dropped`,
    )
  return problems
}
