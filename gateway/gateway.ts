/** A gateway: opens the broker (unless another one is used), the connection to the devices and the HTTP API, in this order, and closes them in reverse. */
import { join } from 'node:path'
import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { makeDirectory } from '../runtime/base/state-dir.ts'
import { wireLimits } from '../runtime/wire/limits.ts'
import { Access } from './api/access.ts'
import { type CallDeadlines, Devices, defaultCallDeadlines } from './api/devices.ts'
import { type Health, readHealth } from './api/health.ts'
import { HttpApi } from './api/http-api.ts'
import { LargeAnswers } from './api/large-answers.ts'
import { People } from './api/people.ts'
import { Site } from './api/site.ts'
import { Tickets } from './api/tickets.ts'
import { Broker } from './broker/broker.ts'
import type { GatewayConfig } from './config.ts'
import { GatewayError } from './errors.ts'
import { OffloadListener, type OffloadListenerOptions } from './offload/listener.ts'
import { openInference } from './offload/open.ts'

export interface GatewayDeps {
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  /** Folder of the built dashboard. */
  readonly dashboard: string
  readonly deadlines?: Partial<CallDeadlines>
}

/** Starts with the name that a built-in broker keeps for its own gateway, unless the broker is another's. */
const clientId = (id: string, own: boolean) => `ganglion-${own ? 'gateway' : 'worker'}-${id}`
/** How long opening waits for the broker. Another one may be away: the gateway then starts all the same, degraded. */
const brokerWaitMs = 5_000
/** A device has the call's own deadline to fetch its recording. */
const ticketMarginMs = 5_000

export class Gateway implements AsyncDisposable {
  readonly mqttUrl: string
  readonly httpUrl: string
  readonly #health: () => Health
  readonly #stack: AsyncDisposableStack

  private constructor(mqttUrl: string, httpUrl: string, health: () => Health, stack: AsyncDisposableStack) {
    this.mqttUrl = mqttUrl
    this.httpUrl = httpUrl
    this.#health = health
    this.#stack = stack
  }

  /** Throws GatewayError and UsageError; whatever was opened is closed again then. */
  static async open(deps: GatewayDeps, config: GatewayConfig, signal: AbortSignal): Promise<Gateway> {
    await using opening = new AsyncDisposableStack()
    const { clock, log } = deps
    const broker =
      config.broker.kind === 'built-in'
        ? opening.use(
            await Broker.open(
              { clock, log: log.named('broker') },
              { ...config.broker, base: config.base },
              signal,
            ),
          )
        : undefined
    const tickets = opening.use(await openTickets(deps, config))
    const site = opening.use(Site.open({ clock, log: log.named('site') }, busOptions(config, broker)))
    const inference = opening.use(
      await openInference(
        { clock, log: log.named('inference'), names: () => site.names() },
        config.inference,
        signal,
      ),
    )
    const offload = opening.use(
      await OffloadListener.open(
        {
          clock,
          log: log.named('offload'),
          serving: inference,
          bad: (device, reason) => site.badMessages.count(device, reason),
        },
        workerOptions(config, broker),
        signal,
      ),
    )
    const deadlines = { ...defaultCallDeadlines, ...deps.deadlines }
    const devices = new Devices({
      bus: site.bus,
      directory: site.directory,
      tickets,
      largeAnswers: new LargeAnswers(offload.tickets),
      deadlines,
    })
    const startedMs = clock.monotonicMs()
    const health = () =>
      readHealth({
        version: deps.version,
        uptimeMs: Math.round(clock.monotonicMs() - startedMs),
        site,
        inference,
        offload,
        ...(broker && { broker }),
      })
    const people = new People(clock, config.people)
    const access = new Access(config.http, people)
    const http: HttpApi = opening.use(
      await HttpApi.open(
        {
          clock,
          log: log.named('http'),
          version: deps.version,
          site,
          devices,
          tickets,
          access,
          people,
          health,
          inference,
          offload,
        },
        { host: config.http.host, port: config.http.port, dashboard: deps.dashboard },
        signal,
      ),
    )
    const [connected] = await Promise.all([site.connected(brokerWaitMs), offload.listening(brokerWaitMs)])
    if (!connected) log.warn('starting without a broker', { url: site.bus.url, why: site.bus.lastError })
    return new Gateway(broker?.url ?? site.bus.url, http.url, health, opening.move())
  }

  health(): Health {
    return this.#health()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

async function openTickets(deps: GatewayDeps, config: GatewayConfig): Promise<Tickets> {
  const folder = join(config.stateDir, 'recordings')
  const hearMs = deps.deadlines?.hearMs ?? defaultCallDeadlines.hearMs
  try {
    makeDirectory(config.stateDir)
    return await Tickets.open(deps.clock, {
      folder,
      bytesMax: wireLimits.uploadBytesMax,
      /** One a device of a household, at most 1 GB of disk. */
      ticketsMax: 4,
      lifeMs: hearMs + ticketMarginMs,
      fetchesMax: 3,
    })
  } catch (error) {
    throw new GatewayError(
      'state-dir',
      `cannot write ${config.stateDir} (${messageOf(error)}): choose another with --state-dir`,
      { cause: error },
    )
  }
}

function busOptions(config: GatewayConfig, broker: Broker | undefined) {
  const { id, base } = config
  const common = { base, gatewayId: id, clientId: clientId(id, broker !== undefined) }
  if (broker) return { ...common, ...broker.own, url: broker.url }
  if (config.broker.kind !== 'external') throw new Error('no broker was opened')
  const { url, username, password } = config.broker
  return { ...common, url, ...(username && { username }), ...(password && { password }) }
}

/** The worker's connection beside the gateway's own, with the same rights. */
function workerOptions(config: GatewayConfig, broker: Broker | undefined): OffloadListenerOptions {
  const { gatewayId: worker, clientId: id, ...rest } = busOptions(config, broker)
  return { ...rest, worker, clientId: `${id}-offload` }
}
