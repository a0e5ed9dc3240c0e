/**
 * `ganglion up`: a gateway and a device on this machine, kept running until Ctrl-C. With --json it prints one ready line;
 * for a person it shows what is running (presentation.ts).
 */
import { realClock } from '../../base/clock.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import { untilStopped } from '../../base/stop.ts'
import { voiceModels } from '../../inference/models/index.ts'
import { Child } from '../child.ts'
import type { Context } from '../context.ts'
import type { DeviceInputOptions } from '../device-input.ts'
import { exitCodes } from '../exit.ts'
import { HubClient } from '../hub-client.ts'
import { announceHub, lockHub } from '../hub-file.ts'
import { type HubPlan, planHub } from '../hub-plan.ts'
import { Keeper } from '../keeper.ts'
import { poll } from '../poll.ts'
import { type DeviceReady, present } from '../presentation.ts'
import { type GatewayOptions, openGateway } from './gateway.ts'
import { openStore, pull } from './models.ts'

export interface UpOptions extends Omit<GatewayOptions, 'logLevel' | 'id'>, DeviceInputOptions {
  /** False: nothing is played. */
  readonly demo: boolean
}

export class UpError extends CodedError<'not-ready'> {
  override readonly name = 'UpError'
}

const readyMsMax = 30_000
const onlineMsMax = 15_000
/** Together a second less than the five that Ctrl-C may take. The device goes first: the gateway takes its last words. */
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
  const startDevice = (s: AbortSignal) => openDevice(options, { http, mqtt }, plan, s)
  await using device = new Keeper(await startDevice(signal), (_, s) => startDevice(s), notice)
  const hub = new HubClient(http, signal, plan.token)
  const { device: id } = device.ready
  const away = await untilOnline(hub, id, signal)
  using _hub = announceHub(hubDir, { http, mqtt, device: id })

  if (terminal.json) terminal.out(JSON.stringify({ ready: true, mqtt, http, device: id }))
  if (away !== undefined)
    notice(`${away}; the device ${id} works by itself until then, and the gateway goes on trying`)
  if (!terminal.json)
    await present(
      { hub, device: device.ready, mqtt, http, voiceProblem, away, demo: options.demo },
      terminal,
      signal,
    )
  await Promise.race([untilStopped(signal), gateway.givenUp, device.givenUp])
  terminal.note('stopping')
  return exitCodes.done
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
  plan: HubPlan,
  signal: AbortSignal,
) {
  const args = ['device', '--json', '--supervised', '--gateway', gateway.http, '--broker', gateway.mqtt]
  const flags = {
    '--state-dir': plan.deviceDir,
    '--home': options.home || undefined,
    '--config': options.config,
    '--id': options.id,
    '--microphone': options.microphone,
    '--models-dir': options.modelsDir,
    '--log-level': options.logLevel,
  }
  for (const [flag, value] of Object.entries(flags)) if (value !== undefined) args.push(flag, value)
  if (options.home === undefined) args.push('--first-home')
  if (!options.voice) args.push('--no-voice')
  return Child.open<DeviceReady>(
    { name: 'the device', program: 'ganglion', args, readyMsMax, stopMsMax: stopMsMax.device },
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
 * Waits until the gateway has seen the device. Returns why it cannot, where another broker than ours is away: that is no
 * reason not to run. Throws UpError.
 */
async function untilOnline(hub: HubClient, device: string, signal: AbortSignal): Promise<string | undefined> {
  const isOnline = ({ devices }: HealthAnswer) =>
    devices.some(({ id, availability }) => id === device && availability === 'online')
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
    `the device ${device} did not reach the gateway within ${onlineMsMax / 1000} s: ${health.problems.join('; ')}`,
  )
}
