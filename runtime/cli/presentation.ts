/**
 * What `up` shows a person: what is running, one real recording played through the whole path, what to try next. A hub
 * that runs is not ended by anything that goes wrong here.
 */
import { openAsBlob } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { realClock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { version } from '../base/version.ts'
import { voiceModels } from '../inference/models/index.ts'
import { firstRecording } from '../perception/samples/first-recording.ts'
import { voiceStarting } from '../perception/voice.ts'
import type { EntitiesAnswer } from '../wire/http.ts'
import type { SayResult, StatusResult } from '../wire/messages.ts'
import type { HomeAgent } from './home-agents.ts'
import type { HubClient } from './hub-client.ts'
import { poll } from './poll.ts'
import { megabytes, milliseconds, type Terminal } from './terminal.ts'

export interface DeviceReady {
  readonly device: string
  readonly entities: number
}

interface Running {
  readonly hub: HubClient
  /** At least one; the first is the one that is spoken to. */
  readonly devices: readonly DeviceReady[]
  /** Those of the home; undefined: none were to be begun. */
  readonly agents: readonly HomeAgent[] | undefined
  readonly mqtt: string
  readonly http: string
  readonly voiceProblem: string | undefined
  /** Why the gateway does not reach the device for now. */
  readonly away: string | undefined
  /** A recording is to be played. */
  readonly demo: boolean
}

const voiceMsMax = 60_000

/** Never throws; ends early when the signal aborts. */
export async function present(running: Running, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const { devices, mqtt, http } = running
  const line = lineOf(terminal)
  terminal.out(terminal.style('bold', `Ganglion ${version}`))
  line('dashboard', terminal.style('cyan', http))
  line('broker', mqtt)
  if (running.away === undefined) {
    try {
      await presentDevice(running, terminal, signal)
    } catch (error) {
      if (signal.aborted) return
      terminal.error(`the hub runs, but: ${messageOf(error)}`)
    }
  } else for (const device of devices) line('running', entitiesOf(device))
  const there = (running.agents ?? []).filter(({ did, why }) => did !== 'failed' && why !== 'removed')
  if (running.agents) await presentAgents(running.agents, terminal)
  if (devices.length === 1) tryNext(terminal)
  else tryTogether(devices, there, terminal)
}

const entitiesOf = ({ device, entities }: DeviceReady) => `${entities} entities (${device})`

/** A process that nobody needs yet is not started. */
const memoryOf = ({ name, pssMb, state }: StatusResult['processes'][number]) =>
  pssMb === undefined ? `${name} ${state}` : `${name} ${pssMb} MB`

const lineOf = (terminal: Terminal) => (label: string, text: string) =>
  terminal.out(`  ${terminal.style('dim', label.padEnd(11))}${text}`)

async function presentDevice(running: Running, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const { hub, devices, voiceProblem } = running
  const [device, ...others] = devices as [DeviceReady, ...DeviceReady[]]
  const line = lineOf(terminal)
  // Waits for the speech models to be loaded, where they are wanted.
  const status = await poll(
    realClock,
    { everyMs: 100, limitMs: voiceMsMax },
    () => hub.get<StatusResult>(`/api/devices/${device.device}/status`),
    ({ problems }) =>
      voiceProblem !== undefined || !problems.some((problem) => problem.startsWith(voiceStarting)),
    signal,
  )
  const board = `${status.device.board}${status.device.simulated ? ', a simulated board in a simulated home' : ''}`
  line('running', `${board} with ${entitiesOf(device)}`)
  for (const other of others) line('', `beside it ${entitiesOf(other)}`)
  line('memory', status.processes.map(memoryOf).join(', '))
  for (const text of movesNot(status)) line('safety', terminal.style('yellow', text))
  const off = voiceProblem ?? status.problems.find((problem) => problem.startsWith('voice'))
  if (off === undefined)
    line(
      'voice',
      status.models
        .filter(({ name }) => voiceModels.includes(name))
        .map((model) => `${model.name} (${megabytes(model.megabytes * 1e6)})`)
        .join(', '),
    )
  else line('voice', terminal.style('yellow', `off: ${off}`))
  if (running.demo && off === undefined) await play(hub, terminal)
}

/** Why what is attached may not move. Nothing is said where it may. */
function movesNot({ safety }: StatusResult): string[] {
  if (!safety) return []
  const stopped = safety.emergencyStop ? ['the emergency stop is pressed'] : []
  const disarmed = safety.armed
    ? []
    : [`actuators are not armed: ${safety.notArmedBecause.join('; ')} ("ganglion safety arm")`]
  return [...stopped, ...disarmed, ...safety.faults.map(({ message }) => `fault: ${message}`)]
}

/** One real recording through the whole path, told step by step. */
async function play(hub: HubClient, terminal: Terminal): Promise<void> {
  const known = await hub.get<EntitiesAnswer>('/api/entities')
  if (!known.entities.some(({ id }) => id === firstRecording.entity)) return
  const path = fileURLToPath(firstRecording.url)
  const line = lineOf(terminal)
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

/** Which run, and in plain words what was granted without a question, and why. */
async function presentAgents(agents: readonly HomeAgent[], terminal: Terminal): Promise<void> {
  const line = lineOf(terminal)
  const begun = agents.filter(({ did }) => did === 'begun')
  for (const [at, { device, name, did, why }] of agents.entries())
    line(at === 0 ? 'agents' : '', `${name} on ${device}${did === 'begun' ? '' : ` (${left(did, why)})`}`)
  if (begun.length === 0) return
  const { homeAgentMay } = await import('./home-agents.ts')
  const all = begun.length === 1 ? 'it' : 'each of them'
  terminal.out(`  This home is simulated, so nobody was asked: this start lets ${all}`)
  for (const words of homeAgentMay()) terminal.out(`    - ${words}`)
  terminal.out('  They agree among themselves on who may run the heat pump. --no-agents begins none.')
}

function left(did: HomeAgent['did'], why = ''): string {
  if (did === 'resumed') return 'goes on: its home is back'
  return did === 'failed' ? 'not begun' : `left as it is: ${why}`
}

function tryTogether(
  devices: readonly DeviceReady[],
  agents: readonly HomeAgent[],
  terminal: Terminal,
): void {
  terminal.out('')
  const [first] = agents
  if (first) {
    terminal.out('Try next, in another terminal:')
    for (const words of [
      'entities',
      `decisions --device ${first.device}`,
      `agent logs ${first.name} --device ${first.device} -f`,
      `agent stop ${first.name} --device ${first.device}`,
    ])
      terminal.out(`  npm run ganglion -- ${words}`)
  } else {
    terminal.out(
      'Try next, in another terminal: one agent a device, which agree on who may run the heat pump:',
    )
    for (const [at, { device }] of devices.entries())
      terminal.out(
        `  npm run ganglion -- agent run comfort --as comfort-${at + 1} --grant all --device ${device}`,
      )
  }
  terminal.out('Or open the dashboard. Ctrl-C stops everything.')
}
