/**
 * What `doctor` looks at besides the hardware: Node, memory and disk that are free now, the state directory, speech models,
 * the microphone's tool, a running hub.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, statfsSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'
import type { Finding } from '../../../hal/contract/examination.ts'
import { realClock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import { openStateDir } from '../../base/state-dir.ts'
import { voiceModels } from '../../inference/models/index.ts'
import { machineLimits } from '../../inference/supervisor/machine-limits.ts'
import { planEngines } from '../../inference/supervisor/plan.ts'
import type { Context } from '../context.ts'
import { gatewayToken } from '../gateway-token.ts'
import { HubClient } from '../hub-client.ts'
import { readHub } from '../hub-file.ts'
import { liveModels } from '../live-models.ts'
import { megabytes } from '../terminal.ts'
import { openStore } from './models.ts'

/** Free disk that models, dependencies and an outbox need. */
const diskBytesMin = 500e6
/** Device, engine with speech models and gateway together, measured with room to spare. */
const memoryBytesMin = 400e6

export async function softwareFindings(modelsDir: string | undefined, context: Context): Promise<Finding[]> {
  return [
    await machineFinding(context),
    await sensorsFinding(context),
    nodeFinding(),
    memoryFinding(),
    stateDirFinding(context.hubDir),
    diskFinding(context.hubDir),
    await modelsFinding(modelsDir, context.signal),
    await engineFinding(context),
    microphoneFinding(),
    await hubFinding(context),
  ]
}

/** This machine's own sensors, as the device reports them. */
async function sensorsFinding(context: Context): Promise<Finding> {
  const { hal } = await context.hal()
  const host = { clock: realClock, log: silentLog, random: () => realClock.random() }
  await using board = await hal.openBoard({ hostSensors: true }, host, context.signal)
  const readings = board.sensors.map(
    (sensor) => `${sensor.info.name} ${sensor.current().state}${sensor.info.unit ?? ''}`,
  )
  return {
    check: 'host sensors',
    severity: 'ok',
    found: readings.length === 0 ? 'none' : readings.join(', '),
  }
}

async function machineFinding(context: Context): Promise<Finding> {
  const { takeInventory } = await context.hal()
  const { manufacturer, model, virtual, os, cpu } = await takeInventory()
  const machine = [manufacturer, model].filter(Boolean).join(' ') || 'unnamed'
  const found = `${machine}${virtual ? ' (virtual)' : ''}; ${cpu.cores} cores, ${cpu.brand}; ${os.distribution} ${os.release}, kernel ${os.kernel}`
  return { check: 'machine', severity: 'ok', found }
}

function nodeFinding(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const found = `${process.version}, ${process.arch}, ${process.platform}`
  if (major > 24 || (major === 24 && minor >= 15)) return { check: 'node', severity: 'ok', found }
  return {
    check: 'node',
    severity: 'fail',
    found,
    next: 'start with "npm start", which brings the pinned Node, or install Node 24.15 or newer',
  }
}

function memoryFinding(): Finding {
  const found = `${megabytes(freemem())} free of ${megabytes(totalmem())}`
  if (freemem() >= memoryBytesMin) return { check: 'memory', severity: 'ok', found }
  return {
    check: 'memory',
    severity: 'warn',
    found,
    next: 'voice needs about 400 MB; run with --no-voice, or free some memory',
  }
}

function stateDirFinding(stateDir: string): Finding {
  try {
    openStateDir(stateDir)
    return { check: 'state directory', severity: 'ok', found: stateDir }
  } catch (error) {
    return { check: 'state directory', severity: 'fail', found: messageOf(error) }
  }
}

function diskFinding(stateDir: string): Finding {
  try {
    const { bavail, bsize } = statfsSync(stateDir)
    const found = `${megabytes(bavail * bsize)} free`
    if (bavail * bsize >= diskBytesMin) return { check: 'disk', severity: 'ok', found }
    return { check: 'disk', severity: 'warn', found, next: 'models and dependencies need about 500 MB' }
  } catch (error) {
    return { check: 'disk', severity: 'fail', found: messageOf(error) }
  }
}

async function modelsFinding(dir: string | undefined, signal: AbortSignal): Promise<Finding> {
  await using store = await openStore(dir, signal)
  const absent = (await store.list()).filter(
    ({ manifest, present }) => !present && voiceModels.some((name) => name === manifest.name),
  )
  if (absent.length === 0) return { check: 'speech models', severity: 'ok', found: `present in ${store.dir}` }
  const names = absent.map(({ manifest }) => manifest.name).join(', ')
  return {
    check: 'speech models',
    severity: 'warn',
    found: `absent: ${names}`,
    next: 'fetch them with "ganglion models pull"; everything but voice works without',
  }
}

/** Memory of the models that a running device has loaded, against its budget; without one, what it would be given. */
async function engineFinding(context: Context): Promise<Finding> {
  const check = 'engine'
  const live = await liveModels(context)
  if (!live?.engine) {
    const { reasons } = planEngines(await machineLimits(), { role: 'device' })
    return { check, severity: 'ok', found: `none runs; it would have: ${reasons.join('; ')}` }
  }
  const { budgetMb, usedMb = 0, rssMb, workers, threads, replaced } = live.engine
  const process = rssMb === undefined ? 'no process runs' : `its process takes ${Math.round(rssMb)} MB`
  const found = `models take ${Math.round(usedMb)} of ${budgetMb} MB, ${process}; ${workers} of ${threads} threads`
  if (replaced === 0) return { check, severity: 'ok', found }
  return {
    check,
    severity: 'warn',
    found: `${found}; replaced ${replaced} times because its memory had crept past its limit`,
    next: 'a model leaks: "ganglion models list" shows which are used; raise inference.budgetMb, or remove one',
  }
}

function microphoneFinding(): Finding {
  const arecord = spawnSync('arecord', ['-l'], { encoding: 'utf8', timeout: 5_000 })
  if (arecord.error) {
    return {
      check: 'microphone',
      severity: 'warn',
      found: 'arecord is not installed',
      next: 'for a live microphone install alsa-utils; recordings work without',
    }
  }
  const cards = arecord.stdout.split('\n').filter((line) => line.startsWith('card '))
  if (cards.length > 0)
    return {
      check: 'microphone',
      severity: canOpenSound() ? 'ok' : 'warn',
      found: cards.join('; '),
      ...(canOpenSound() ? {} : { next: 'join the group "audio" to use it' }),
    }
  return {
    check: 'microphone',
    severity: 'warn',
    found: 'no capture device',
    next: 'plug one in for live voice; recordings work without',
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
    return { check: 'hub', severity: 'ok', found: 'none is running', next: 'start one with "ganglion up"' }
  try {
    const health = await new HubClient(hub.http, signal, gatewayToken()).get<{
      status: string
      problems: string[]
    }>('/api/health', 3_000)
    const found = `${hub.http} ${health.status}`
    return health.problems.length === 0
      ? { check: 'hub', severity: 'ok', found }
      : { check: 'hub', severity: 'warn', found: `${found}: ${health.problems.join('; ')}` }
  } catch (error) {
    signal.throwIfAborted()
    return {
      check: 'hub',
      severity: 'fail',
      found: messageOf(error),
      next: `process ${hub.pid} runs but does not answer: stop it and start again`,
    }
  }
}
