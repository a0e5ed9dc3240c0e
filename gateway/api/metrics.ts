/**
 * `GET /metrics`: what the gateway, its devices and their agents have used, in Prometheus' text format 0.0.4 (which OpenMetrics'
 * scrapers read as well). Devices are asked when somebody looks, all at once; looks that come meanwhile get the same answer.
 *
 * Invariant: [api-15] series are bounded: the devices that the directory keeps, the processes and agents of a device that it
 * tells, `agentsMax` agents in all, 16 things that the agents of a device share; what is left out is counted. What has one name today is not another thing tomorrow: labels are ids.
 */
import type { FastifyInstance } from 'fastify'
import type { StatusResult } from '../../runtime/wire/messages.ts'
import type { Devices } from './devices.ts'
import type { Health } from './health.ts'

export interface MetricsDeps {
  readonly devices: Pick<Devices, 'status'>
  readonly health: () => Health
}

/** Of all devices together: nine series each. */
const agentsMax = 1_000
/** Of one device: the runtime and its engines. */
const processesMax = 16
const contentType = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Readonly<Record<string, string>>
type Sample = readonly [value: number | undefined, labels?: Labels]

export function addMetrics(app: FastifyInstance, deps: MetricsDeps): void {
  let looking: Promise<string> | undefined
  app.get('/metrics', async (_request, reply) => {
    looking ??= look(deps).finally(() => {
      looking = undefined
    })
    return reply.type(contentType).send(await looking)
  })
}

interface Seen {
  readonly id: string
  /** Absent: it is away, or does not answer. */
  readonly status: StatusResult | undefined
}

async function look({ devices, health }: MetricsDeps): Promise<string> {
  const now = health()
  const seen = await Promise.all(
    now.devices.map(async ({ id, availability }): Promise<Seen> => {
      const status = availability === 'online' ? await devices.status(id).catch(() => undefined) : undefined
      return { id, status }
    }),
  )
  return [...ofGateway(now), ...ofDevices(seen), ...ofAgents(seen), ...ofResources(seen)].join('')
}

function ofGateway({ uptimeMs, broker, inference, badMessages, problems }: Health): string[] {
  const backends = inference.backends.map((one) => ({ ...one, labels: { backend: one.id } }))
  return [
    gauge('gateway_uptime_seconds', 'Since the gateway started.', [[uptimeMs / 1_000]]),
    gauge('gateway_problems', 'Things that are not as they should be: /api/health names them.', [
      [problems.length],
    ]),
    gauge('gateway_broker_connected', 'Whether the broker can be reached.', [[Number(broker.connected)]]),
    counter('gateway_bad_messages_total', 'Messages that were dropped because they are malformed.', [
      [badMessages],
    ]),
    gauge('gateway_inference_waiting', 'Requests for inference that wait.', [[inference.queued]]),
    gauge(
      'gateway_backend_up',
      'Whether an inference backend serves.',
      backends.map(({ state, labels }) => [Number(state === 'ok'), labels]),
    ),
    gauge(
      'gateway_backend_running',
      'Requests that run there.',
      backends.map(({ running, labels }) => [running, labels]),
    ),
  ]
}

function ofDevices(seen: readonly Seen[]): string[] {
  const of = (read: (status: StatusResult) => number | undefined): Sample[] =>
    seen.map(({ id, status }) => [status && read(status), { device: id }])
  const memory = seen.flatMap(({ id, status }) =>
    (status?.processes ?? [])
      .slice(0, processesMax)
      .map(({ name, pssMb }): Sample => [pssMb && pssMb * 1e6, { device: id, process: name }]),
  )
  return [
    gauge(
      'device_up',
      'Whether a device answers.',
      seen.map(({ id, status }) => [Number(status !== undefined), { device: id }]),
    ),
    gauge(
      'device_uptime_seconds',
      'Since its runtime started.',
      of(({ device }) => device.uptimeMs / 1_000),
    ),
    gauge(
      'device_problems',
      'Things that are not as they should be: its status names them.',
      of(({ problems }) => problems.length),
    ),
    gauge('device_process_memory_bytes', 'Memory of its processes, proportional set size.', memory),
    gauge(
      'device_outbox_events',
      'Events that wait for the broker.',
      of(({ link }) => link.outboxEvents),
    ),
    counter(
      'device_outbox_dropped_total',
      'Events that were dropped because the outbox was full.',
      of(({ link }) => link.outboxDropped),
    ),
    counter(
      'device_engine_restarts_total',
      'Times that its inference engine was started again.',
      of(({ engine }) => engine?.restarts),
    ),
    gauge(
      'device_model_memory_bytes',
      'What loaded models are counted with.',
      of(({ engine }) => engine?.usedMb && engine.usedMb * 1e6),
    ),
  ]
}

function ofAgents(seen: readonly Seen[]): string[] {
  const all = seen.flatMap(({ id, status }) =>
    (status?.agents?.list ?? []).map((agent) => ({ ...agent, labels: { device: id, agent: agent.name } })),
  )
  const told = all.slice(0, agentsMax)
  const untold = seen.reduce((sum, { status }) => sum + (status?.agents?.more ?? 0), all.length - told.length)
  const of = (read: (agent: (typeof all)[number]) => number): Sample[] =>
    told.map((agent) => [read(agent), agent.labels])
  return [
    gauge(
      'agent_running',
      'Whether an agent runs.',
      of(({ state }) => Number(state === 'running')),
    ),
    gauge(
      'agent_memory_bytes',
      'Memory of its machine; 0 while that is on the disk.',
      of(({ memoryBytes }) => memoryBytes),
    ),
    counter(
      'agent_turns_total',
      'Turns that it has taken on this device.',
      of(({ turns }) => turns),
    ),
    counter(
      'agent_cpu_seconds_total',
      'Processor time of its turns.',
      of(({ used }) => used.cpuMs / 1_000),
    ),
    counter(
      'agent_engine_seconds_total',
      'Time that models computed for it.',
      of(({ used }) => used.engineMs / 1_000),
    ),
    counter(
      'agent_tokens_total',
      'Tokens of language models.',
      of(({ used }) => used.tokens),
    ),
    counter(
      'agent_network_bytes_total',
      'Bytes that left the device or came for it.',
      of(({ used }) => used.bytes),
    ),
    counter(
      'agent_energy_joules_total',
      'Energy, estimated.',
      of(({ used }) => used.joules),
    ),
    counter(
      'agent_cost_total',
      'Money, in the currency of the configured prices.',
      of(({ used }) => used.money),
    ),
    gauge('agents_left_out', 'Agents that are not told here, because there are too many.', [[untold]]),
  ]
}

/** What agents of a device share, since its runtime started. */
function ofResources(seen: readonly Seen[]): string[] {
  const all = seen.flatMap(({ id, status }) =>
    (status?.agents?.resources ?? []).map((one) => ({ ...one, labels: { device: id, resource: one.name } })),
  )
  const of = (read: (resource: (typeof all)[number]) => number | undefined): Sample[] =>
    all.map((resource) => [read(resource), resource.labels])
  return [
    gauge(
      'schedule_capacity',
      'How much there is: places, or tokens or bytes a minute.',
      of(({ capacity }) => capacity),
    ),
    gauge(
      'schedule_used',
      'How much of it agents have now.',
      of(({ used }) => used),
    ),
    gauge(
      'schedule_waiting',
      'Requests that wait for it.',
      of(({ waiting }) => waiting),
    ),
    counter(
      'schedule_granted_total',
      'Requests that were given it.',
      of(({ fared }) => fared?.granted),
    ),
    counter(
      'schedule_refused_total',
      'Requests that were refused: too many waited, or it would have been too late.',
      of(({ fared }) => fared?.refused),
    ),
    counter(
      'schedule_wait_seconds_total',
      'Time that requests have waited before they were given it.',
      of(({ fared }) => fared && fared.waitedMs / 1_000),
    ),
    gauge(
      'schedule_longest_wait_seconds',
      'The longest that one has waited, since the runtime started.',
      of(({ fared }) => fared && fared.longestMs / 1_000),
    ),
  ]
}

const gauge = (name: string, help: string, samples: readonly Sample[]) => family('gauge', name, help, samples)
const counter = (name: string, help: string, samples: readonly Sample[]) =>
  family('counter', name, help, samples)

/** A figure that nobody gives has no line; a family without lines is not there. */
function family(type: 'gauge' | 'counter', name: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.flatMap(([value, labels = {}]) =>
    value === undefined ? [] : [`ganglion_${name}${labelsText(labels)} ${value}\n`],
  )
  if (lines.length === 0) return ''
  return `# HELP ganglion_${name} ${help}\n# TYPE ganglion_${name} ${type}\n${lines.join('')}`
}

function labelsText(labels: Labels): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return all.length === 0 ? '' : `{${all.join(',')}}`
}

const escaped = (value: string) => value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))
