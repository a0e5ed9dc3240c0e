/** `ganglion doctor`: what this machine is, what is wrong with it for Ganglion, and what to do about it. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, statfsSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'
import { realClock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import { openStateDir } from '../../base/state-dir.ts'
import { voiceModels } from '../../inference/models/index.ts'
import type { Context } from '../context.ts'
import { gatewayToken } from '../gateway-token.ts'
import { HubClient } from '../hub-client.ts'
import { readHub } from '../hub-file.ts'
import { megabytes, type Terminal } from '../terminal.ts'
import { openStore } from './models.ts'

interface Finding {
  readonly check: string
  readonly status: 'ok' | 'warning' | 'problem'
  readonly found: string
  /** What to do. */
  readonly advice?: string
}

/** Free disk that models, dependencies and an outbox need. */
const diskBytesMin = 500e6
/** Device, engine with speech models and gateway together, measured with room to spare. */
const memoryBytesMin = 400e6

export async function doctor(options: { modelsDir?: string }, context: Context): Promise<number> {
  const findings = [
    await boardFinding(context),
    await machineFinding(context),
    nodeFinding(),
    memoryFinding(),
    stateDirFinding(context.hubDir),
    diskFinding(context.hubDir),
    await modelsFinding(options.modelsDir, context.signal),
    microphoneFinding(),
    await hubFinding(context),
  ]
  const healthy = findings.every(({ status }) => status !== 'problem')
  if (context.terminal.json) context.terminal.out(JSON.stringify({ healthy, findings }))
  else for (const finding of findings) print(finding, context.terminal)
  return healthy ? 0 : 1
}

function print({ check, status, found, advice }: Finding, terminal: Terminal): void {
  const [mark, colour] = marks[status]
  terminal.out(`${terminal.style(colour, mark)} ${check.padEnd(16)} ${found}`)
  if (advice) terminal.out(`  ${' '.repeat(16)} ${terminal.style('dim', `→ ${advice}`)}`)
}

const marks = { ok: ['✓', 'green'], warning: ['!', 'yellow'], problem: ['✗', 'red'] } as const

async function boardFinding(context: Context): Promise<Finding> {
  const { hal, boards } = await context.hal()
  const host = { clock: realClock, log: silentLog, random: () => realClock.random() }
  await using board = await hal.openBoard({ hostSensors: true }, host, context.signal)
  const readings = board.sensors.map(
    (sensor) => `${sensor.info.name} ${sensor.current().state}${sensor.info.unit ?? ''}`,
  )
  const found = `${board.board.name} (${board.recognisedBy}); ${readings.join(', ')}`
  if (!board.board.id.startsWith('generic')) return { check: 'board', status: 'ok', found }
  return {
    check: 'board',
    status: 'ok',
    found,
    advice: `known boards: ${boards.join(', ')}; any other Linux runs as a generic one`,
  }
}

async function machineFinding(context: Context): Promise<Finding> {
  const { takeInventory } = await context.hal()
  const { manufacturer, model, virtual, os, cpu } = await takeInventory()
  const machine = [manufacturer, model].filter(Boolean).join(' ') || 'unnamed'
  const found = `${machine}${virtual ? ' (virtual)' : ''}; ${cpu.cores} cores, ${cpu.brand}; ${os.distribution} ${os.release}, kernel ${os.kernel}`
  return { check: 'machine', status: 'ok', found }
}

function nodeFinding(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const found = `${process.version}, ${process.arch}, ${process.platform}`
  if (major > 24 || (major === 24 && minor >= 15)) return { check: 'node', status: 'ok', found }
  return {
    check: 'node',
    status: 'problem',
    found,
    advice: 'start with "npm start", which brings the pinned Node, or install Node 24.15 or newer',
  }
}

function memoryFinding(): Finding {
  const found = `${megabytes(freemem())} free of ${megabytes(totalmem())}`
  if (freemem() >= memoryBytesMin) return { check: 'memory', status: 'ok', found }
  return {
    check: 'memory',
    status: 'warning',
    found,
    advice: 'voice needs about 400 MB; run with --no-voice, or free some memory',
  }
}

function stateDirFinding(stateDir: string): Finding {
  try {
    openStateDir(stateDir)
    return { check: 'state directory', status: 'ok', found: stateDir }
  } catch (error) {
    return { check: 'state directory', status: 'problem', found: messageOf(error) }
  }
}

function diskFinding(stateDir: string): Finding {
  try {
    const { bavail, bsize } = statfsSync(stateDir)
    const found = `${megabytes(bavail * bsize)} free`
    if (bavail * bsize >= diskBytesMin) return { check: 'disk', status: 'ok', found }
    return { check: 'disk', status: 'warning', found, advice: 'models and dependencies need about 500 MB' }
  } catch (error) {
    return { check: 'disk', status: 'problem', found: messageOf(error) }
  }
}

async function modelsFinding(dir: string | undefined, signal: AbortSignal): Promise<Finding> {
  await using store = await openStore(dir, signal)
  const absent = (await store.list()).filter(
    ({ manifest, present }) => !present && voiceModels.some((name) => name === manifest.name),
  )
  if (absent.length === 0) return { check: 'speech models', status: 'ok', found: `present in ${store.dir}` }
  const names = absent.map(({ manifest }) => manifest.name).join(', ')
  return {
    check: 'speech models',
    status: 'warning',
    found: `absent: ${names}`,
    advice: 'fetch them with "ganglion models pull"; everything but voice works without',
  }
}

function microphoneFinding(): Finding {
  const arecord = spawnSync('arecord', ['-l'], { encoding: 'utf8', timeout: 5_000 })
  if (arecord.error) {
    return {
      check: 'microphone',
      status: 'warning',
      found: 'arecord is not installed',
      advice: 'for a live microphone install alsa-utils; recordings work without',
    }
  }
  const cards = arecord.stdout.split('\n').filter((line) => line.startsWith('card '))
  if (cards.length > 0)
    return {
      check: 'microphone',
      status: canOpenSound() ? 'ok' : 'warning',
      found: cards.join('; '),
      ...(canOpenSound() ? {} : { advice: 'join the group "audio" to use it' }),
    }
  return {
    check: 'microphone',
    status: 'warning',
    found: 'no capture device',
    advice: 'plug one in for live voice; recordings work without',
  }
}

function canOpenSound(): boolean {
  try {
    accessSync('/dev/snd', constants.R_OK)
    return true
  } catch {
    return false
  }
}

async function hubFinding({ hubDir, signal }: Context): Promise<Finding> {
  const hub = readHub(hubDir)
  if (!hub)
    return { check: 'hub', status: 'ok', found: 'none is running', advice: 'start one with "ganglion up"' }
  try {
    const health = await new HubClient(hub.http, signal, gatewayToken()).get<{
      status: string
      problems: string[]
    }>('/api/health', 3_000)
    const found = `${hub.http} ${health.status}`
    return health.problems.length === 0
      ? { check: 'hub', status: 'ok', found }
      : { check: 'hub', status: 'warning', found: `${found}: ${health.problems.join('; ')}` }
  } catch (error) {
    signal.throwIfAborted()
    return {
      check: 'hub',
      status: 'problem',
      found: messageOf(error),
      advice: `process ${hub.pid} runs but does not answer: stop it and start again`,
    }
  }
}
