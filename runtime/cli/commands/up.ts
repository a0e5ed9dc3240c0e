/**
 * `ganglion up`: a gateway and a device on this machine. On a terminal it shows what is running, plays one real recording
 * through the whole path and says what happened; with --json it prints one ready line.
 */
import { openAsBlob } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { realClock, sleep } from '../../base/clock.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import { openStateDir } from '../../base/state-dir.ts'
import { version } from '../../base/version.ts'
import { firstRecording } from '../../perception/samples/first-recording.ts'
import { voiceStarting } from '../../perception/voice.ts'
import type { EntitiesAnswer } from '../../wire/http.ts'
import type { SayResult, StatusResult } from '../../wire/messages.ts'
import { Child } from '../child.ts'
import type { Context } from '../context.ts'
import { HubClient } from '../hub-client.ts'
import { readHub, removeHub, writeHub } from '../hub-file.ts'
import { Keeper } from '../keeper.ts'
import { megabytes, milliseconds, type Terminal } from '../terminal.ts'
import { type GatewayOptions, openGateway, stopMsMax } from './gateway.ts'
import { openStore, pull, voiceModels } from './models.ts'

export interface UpOptions extends GatewayOptions {
  readonly home?: string
  readonly id?: string
  readonly microphone?: string
  readonly modelsDir?: string
  readonly voice: boolean
  /** False: nothing is played. */
  readonly demo: boolean
}

interface DeviceReady {
  readonly device: string
  readonly entities: number
}

export class UpError extends CodedError<'already-running' | 'not-ready'> {
  override readonly name = 'UpError'
}

const readyMsMax = 30_000
const onlineMsMax = 15_000
const voiceMsMax = 60_000

export async function up(options: UpOptions, context: Context): Promise<number> {
  const { terminal, stateDir, signal } = context
  openStateDir(stateDir)
  const other = readHub(stateDir)
  if (other)
    throw new UpError(
      'already-running',
      `a hub is already running here (process ${other.pid}, ${other.http}): stop it, or use another --state-dir`,
    )
  terminal.note(terminal.style('bold', `Ganglion ${version}`))
  const voiceProblem = options.voice ? await fetchVoice(options, context) : 'switched off with --no-voice'

  const gatewayDir = join(stateDir, 'gateway')
  const notice = (line: string) => terminal.error(line)
  await using gateway = new Keeper(
    await openGateway(options, gatewayDir, signal),
    (last, s) => openGateway({ ...options, ...portsOf(last) }, gatewayDir, s),
    notice,
  )
  const { http, mqtt } = gateway.ready
  const startDevice = (s: AbortSignal) => openDevice(options, { http, mqtt }, stateDir, s)
  await using device = new Keeper(await startDevice(signal), (_, s) => startDevice(s), notice)
  const hub = new HubClient(http)
  await untilOnline(hub, device.ready.device, signal)
  writeHub(stateDir, { pid: process.pid, http, mqtt, device: device.ready.device })
  using _hub = { [Symbol.dispose]: () => removeHub(stateDir, process.pid) }

  if (terminal.json) terminal.out(JSON.stringify({ ready: true, mqtt, http, device: device.ready.device }))
  else await present({ hub, device: device.ready, mqtt, http, voiceProblem }, options, terminal, signal)
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await Promise.race([stopped, gateway.givenUp, device.givenUp])
  terminal.note('stopping')
  return 0
}

/** Fetches the speech models. Returns the reason where that failed: everything but voice works without them. */
async function fetchVoice(options: UpOptions, { terminal, signal }: Context): Promise<string | undefined> {
  try {
    await using store = await openStore(options.modelsDir, signal)
    const present = (await store.list()).filter((model) => model.present).length
    if (present < voiceModels.length) terminal.note('Fetching the speech models, once for all runs:')
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
  stateDir: string,
  signal: AbortSignal,
) {
  const args = [
    'device',
    '--json',
    '--supervised',
    '--state-dir',
    join(stateDir, 'device'),
    '--gateway',
    gateway.http,
    '--broker',
    gateway.mqtt,
  ]
  const flags = {
    '--home': options.home,
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
    { name: 'the device', program: 'ganglion', args, readyMsMax, stopMsMax },
    signal,
  )
}

function portsOf({ http, mqtt }: { http: string; mqtt: string }): { httpPort: string; mqttPort: string } {
  return { httpPort: new URL(http).port, mqttPort: new URL(mqtt).port }
}

/** The gateway has seen the device and all its entities. */
async function untilOnline(hub: HubClient, device: string, signal: AbortSignal): Promise<void> {
  const untilMs = realClock.monotonicMs() + onlineMsMax
  for (;;) {
    const { devices } = await hub.get<EntitiesAnswer>('/api/entities')
    if (devices.some(({ id, availability }) => id === device && availability === 'online')) return
    if (realClock.monotonicMs() > untilMs) {
      throw new UpError(
        'not-ready',
        `the device ${device} did not reach the gateway within ${onlineMsMax / 1000} s`,
      )
    }
    await sleep(realClock, 50, signal)
  }
}

interface Running {
  readonly hub: HubClient
  readonly device: DeviceReady
  readonly mqtt: string
  readonly http: string
  readonly voiceProblem: string | undefined
}

async function present(
  running: Running,
  options: UpOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const { hub, device, mqtt, http, voiceProblem } = running
  const line = (label: string, text: string) =>
    terminal.out(`  ${terminal.style('dim', label.padEnd(11))}${text}`)
  const status = await untilVoice(hub, device.device, voiceProblem === undefined, signal)
  const memory = status.processes.map(({ name, pssMb }) => `${name} ${pssMb ?? '?'} MB`).join(', ')
  line(
    'running',
    `${status.device.board}${status.device.simulated ? ', a simulated board in a simulated home' : ''} with ${device.entities} entities (${device.device})`,
  )
  line('dashboard', terminal.style('cyan', http))
  line('broker', mqtt)
  line('memory', memory)
  const off = voiceProblem ?? status.problems.find((problem) => problem.startsWith('voice'))
  if (off === undefined)
    line(
      'voice',
      status.models.map((model) => `${model.name} (${megabytes(model.megabytes * 1e6)})`).join(', '),
    )
  else line('voice', terminal.style('yellow', `off: ${off}`))
  if (options.demo && off === undefined) await play(hub, terminal)
  tryNext(terminal)
}

/** Waits for the speech models to be loaded, as far as they are wanted. */
async function untilVoice(
  hub: HubClient,
  device: string,
  wanted: boolean,
  signal: AbortSignal,
): Promise<StatusResult> {
  const untilMs = realClock.monotonicMs() + voiceMsMax
  for (;;) {
    const status = await hub.get<StatusResult>(`/api/devices/${device}/status`)
    const settled = !status.problems.some((problem) => problem.startsWith(voiceStarting))
    if (!wanted || settled || realClock.monotonicMs() > untilMs) return status
    await sleep(realClock, 100, signal)
  }
}

/** One real recording through the whole path, told step by step. */
async function play(hub: HubClient, terminal: Terminal): Promise<void> {
  const known = await hub.get<EntitiesAnswer>('/api/entities')
  if (!known.entities.some(({ id }) => id === firstRecording.entity)) return
  const path = fileURLToPath(firstRecording.url)
  const line = (label: string, text: string) =>
    terminal.out(`  ${terminal.style('dim', label.padEnd(11))}${text}`)
  terminal.out('')
  terminal.out(`Playing a recording of a real voice, ${firstRecording.name}:`)
  const result = await hub.upload<SayResult>('/api/hear', await openAsBlob(path), 'audio/wav', 60_000)
  line('heard', JSON.stringify(result.transcript))
  line(
    'understood',
    `${result.reading?.intent ?? 'nothing'} (${result.reading?.words.map(({ text, means }) => `"${text}" ${means}`).join(', ') ?? ''})`,
  )
  for (const { entity, command, evidence, outcome, latencyMs } of result.commands) {
    line('sent', `${entity} ${JSON.stringify(command)}`)
    const seen = evidence.observed ? `its telemetry says ${evidence.observed.state}` : 'nothing was seen'
    line(
      'verified',
      outcome === 'done'
        ? `${seen}, ${milliseconds(latencyMs)} after it was sent`
        : `no: ${evidence.reason ?? seen}`,
    )
  }
  const mark = result.outcome === 'done' ? terminal.style('green', '✓') : terminal.style('red', '✗')
  terminal.out(
    `  ${mark} ${result.reply} ${terminal.style('dim', `${milliseconds(result.latencyMs)} from the recording to the proof, all on the device`)}`,
  )
}

function tryNext(terminal: Terminal): void {
  terminal.out('')
  terminal.out('Try next, in another terminal:')
  for (const words of [
    'say "dim the living room lamp to 30 percent"',
    'say "is the garage door open?"',
    'watch',
  ]) {
    terminal.out(`  npm run ganglion -- ${words}`)
  }
  terminal.out('Or open the dashboard. Ctrl-C stops everything.')
}
