/** How the gateway is: what GET /api/health answers. `problems` has one line for each thing that is not as it should be. */
import type { Broker, BrokerStats } from '../broker/broker.ts'
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
}

export function readHealth({ version, uptimeMs, site, broker }: HealthDeps): Health {
  const devices = site.directory.devices().map(({ id }) => site.deviceSummary(id))
  const stats = broker?.stats()
  const problems = [
    ...brokerProblems(site, stats),
    ...(devices.length === 0 ? ['no device has been seen'] : []),
    ...devices.filter((one) => one.availability === 'offline').map(({ id }) => `device ${id} is offline`),
    ...site.badMessages.problems(),
  ]
  const { bus, events } = site
  return {
    status: problems.length === 0 ? 'ok' : 'degraded',
    version,
    uptimeMs,
    broker: { url: bus.url, connected: bus.connected, builtIn: broker !== undefined, ...stats },
    devices,
    badMessages: site.badMessages.total,
    pages: { listening: events.consumers, dropped: events.dropped },
    problems,
  }
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
