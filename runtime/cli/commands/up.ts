/**
 * `ganglion up`: a gateway and a device, or several, on this machine, kept running until Ctrl-C. With --json it prints one ready
 * line; for a person it shows what is running (presentation.ts).
 */
import { realClock } from '../../base/clock.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import { untilStopped } from '../../base/stop.ts'
import { voiceModels } from '../../inference/models/index.ts'
import { Child } from '../child.ts'
import type { Context } from '../context.ts'
import type { DeviceInputOptions } from '../device-input.ts'
import { exitCodes } from '../exit.ts'
import type { HomeAgent } from '../home-agents.ts'
import { markIn } from '../home-agents-mark.ts'
import { HubClient } from '../hub-client.ts'
import { announceHub, lockHub } from '../hub-file.ts'
import { type DevicePlan, type HubPlan, planHub } from '../hub-plan.ts'
import { Keeper } from '../keeper.ts'
import { KeptDevices } from '../kept-devices.ts'
import { poll } from '../poll.ts'
import { type DeviceReady, present } from '../presentation.ts'
import { type GatewayOptions, openGateway } from './gateway.ts'
import { openStore, pull } from './models.ts'

export interface UpOptions extends Omit<GatewayOptions, 'logLevel' | 'id'>, DeviceInputOptions {
  /** False: nothing is played. */
  readonly demo: boolean
  /** How many devices, in digits. */
  readonly devices: string
  /** Whether agents of the home are begun; undefined: as the home is. */
  readonly agents?: boolean
}

export class UpError extends CodedError<'not-ready'> {
  override readonly name = 'UpError'
}

const readyMsMax = 30_000
const onlineMsMax = 15_000
/** Together a second less than the five that Ctrl-C may take. The devices go first: the gateway takes their last words. */
const stopMsMax = { device: 2_500, gateway: 1_500 }

export async function up(options: UpOptions, context: Context): Promise<number> {
  const { terminal, hubDir, signal } = context
  const plan = planHub(options, context)
  using _lock = lockHub(hubDir)
  const voiceProblem = options.voice ? await fetchVoice(options, context) : 'switched off with --no-voice'

  const notice = (line: string) => terminal.error(line)
  // `--id` names the device.
  const { id: _, ...ofGateway } = options
  const startGateway = (more: Partial<GatewayOptions>, s: AbortSignal) =>
    openGateway({ ...ofGateway, ...more }, plan.gatewayDir, s, stopMsMax.gateway)
  await using gateway = new Keeper(
    await startGateway({}, signal),
    (last, s) => startGateway(portsOf(last), s),
    notice,
  )
  const { http, mqtt } = gateway.ready
  await using devices = new KeptDevices<DeviceReady>(notice)
  for (const device of plan.devices) {
    const start = (s: AbortSignal) => openDevice(options, { http, mqtt }, device, s)
    devices.keep(new Keeper(await start(signal), (_, s) => start(s), notice))
  }
  const hub = new HubClient(http, signal, plan.token)
  const ids = plan.devices.map(({ id }) => id)
  const id = ids[0] as string
  const away = await untilOnline(hub, ids, signal)
  using _hub = announceHub(hubDir, { http, mqtt, device: id })

  const agents = away === undefined ? await homeAgents(plan, hub, context) : undefined
  if (terminal.json)
    terminal.out(
      JSON.stringify({
        ...{ ready: true, mqtt, http, device: id },
        ...(ids.length > 1 && { devices: ids }),
        ...(agents && { agents }),
      }),
    )
  if (away !== undefined) {
    notice(`${away}; ${namesOf(ids)} until then, and the gateway goes on trying`)
    if (plan.agents) notice('no agents were begun: the next start does it')
  }
  if (!terminal.json)
    await present(
      { hub, devices: devices.ready, agents, mqtt, http, voiceProblem, away, demo: options.demo },
      terminal,
      signal,
    )
  await Promise.race([untilStopped(signal), gateway.givenUp, devices.givenUp])
  terminal.note('stopping')
  return exitCodes.done
}

const namesOf = ([first, ...more]: readonly string[]) =>
  more.length === 0 ? `the device ${first} works by itself` : 'the devices work by themselves'

/** Begins the agents of the home where that is wanted: nothing of theirs is loaded where it is not. */
async function homeAgents(
  { agents, devices }: HubPlan,
  hub: HubClient,
  { terminal, signal }: Context,
): Promise<readonly HomeAgent[] | undefined> {
  if (!agents && devices.every(({ keeps }) => markIn(keeps) === undefined)) return undefined
  const { beginHomeAgents, holdHomeAgents } = await import('../home-agents.ts')
  for (const { device, name } of await holdHomeAgents(devices, { hub, signal }))
    terminal.error(
      `${name} does not run on ${device}: it was begun for a simulated home with a heat pump, which is not this one. "ganglion up --devices 3" lets it go on there, "ganglion agent resume ${name}" here, "ganglion agent remove ${name}" removes it`,
    )
  if (!agents) return undefined
  const progress = (line: string) => terminal.progress(line, line)
  const begun = await beginHomeAgents(devices, { hub, signal, progress })
  terminal.progressEnd()
  if (begun.length === 0) terminal.error('no agents were begun: no device of this home heats a room')
  for (const { device, name, did, why } of begun)
    if (did === 'failed')
      terminal.error(`${name} was not begun on ${device}: ${why}; the next start tries again`)
  return begun
}

/** Fetches the speech models. Returns the reason where that failed: everything but voice works without them. */
async function fetchVoice(options: UpOptions, { terminal, signal }: Context): Promise<string | undefined> {
  try {
    await using store = await openStore(options.modelsDir, signal)
    const absent = (await store.list()).some(
      ({ manifest, present }) => !present && voiceModels.includes(manifest.name),
    )
    if (absent) terminal.note('Fetching the speech models, once for all runs:')
    await pull(store, voiceModels, terminal, signal)
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    terminal.progressEnd()
    return messageOf(error)
  }
}

function openDevice(
  options: UpOptions,
  gateway: { http: string; mqtt: string },
  { id, stateDir, share, acceptFrom }: DevicePlan,
  signal: AbortSignal,
) {
  const args = ['device', '--json', '--supervised', '--gateway', gateway.http, '--broker', gateway.mqtt]
  const flags = {
    '--state-dir': stateDir,
    '--share': share,
    '--home': options.home || undefined,
    '--config': options.config,
    '--id': id,
    '--microphone': options.microphone,
    '--models-dir': options.modelsDir,
    '--log-level': options.logLevel,
  }
  for (const [flag, value] of Object.entries(flags)) if (value !== undefined) args.push(flag, value)
  if (acceptFrom.length > 0) args.push('--accept-from', ...acceptFrom)
  if (options.home === undefined) args.push('--first-home')
  if (!options.voice) args.push('--no-voice')
  return Child.open<DeviceReady>(
    {
      name: options.devices === '1' ? 'the device' : `the device ${id}`,
      program: 'ganglion',
      args,
      readyMsMax,
      stopMsMax: stopMsMax.device,
    },
    signal,
  )
}

function portsOf({ http, mqtt }: { http: string; mqtt: string }): { httpPort: string; mqttPort: string } {
  return { httpPort: new URL(http).port, mqttPort: new URL(mqtt).port }
}

interface HealthAnswer {
  readonly broker: { readonly connected: boolean }
  readonly devices: readonly { readonly id: string; readonly availability: string }[]
  readonly problems: readonly string[]
}

/**
 * Waits until the gateway has seen the devices. Returns why it cannot, where another broker than ours is away: that is no
 * reason not to run. Throws UpError.
 */
async function untilOnline(
  hub: HubClient,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const missing = ({ devices }: HealthAnswer) =>
    ids.filter((one) => !devices.some(({ id, availability }) => id === one && availability === 'online'))
  const isOnline = (answer: HealthAnswer) => missing(answer).length === 0
  const health = await poll(
    realClock,
    { everyMs: 50, limitMs: onlineMsMax },
    () => hub.get<HealthAnswer>('/api/health'),
    (answer) => isOnline(answer) || !answer.broker.connected,
    signal,
  )
  if (isOnline(health)) return undefined
  // The broker's own problems come first; without it, what follows is only its consequence.
  if (!health.broker.connected) return health.problems[0] ?? 'no connection to the broker'
  throw new UpError(
    'not-ready',
    `the device ${missing(health)[0]} did not reach the gateway within ${onlineMsMax / 1000} s: ${health.problems.join('; ')}`,
  )
}
