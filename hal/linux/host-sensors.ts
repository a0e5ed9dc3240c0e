/**
 * The machine's own sensors: CPU temperature, load, memory and disk in use, read straight from `/sys` and `/proc`
 * (proc(5), Documentation/driver-api/thermal/sysfs-api.rst; 9 to 80 µs each, no child process).
 *
 * A source that this machine does not have gives no sensor; one that has it but cannot be understood is an error.
 */
import { readdir, readFile, statfs } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Board } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { Roots } from './board-detect.ts'
import { HostSensor, type HostSource } from './host-sensor.ts'
import { kernelSources } from './kernel-sources.ts'

/** Opens the sensors that this machine has, each with a first report. */
export async function openHostSensors(
  roots: Roots,
  { power }: Pick<Board, 'power'>,
  host: Host,
  signal: AbortSignal,
): Promise<HostSensor[]> {
  // All are measured before the first is opened: an error leaves nothing running.
  const measured: { source: HostSource; first: number }[] = []
  for (const source of await findSources(roots, power)) {
    signal.throwIfAborted()
    const first = await firstOf(source, host)
    if (first !== undefined) measured.push({ source, first })
  }
  const machine = hostname().split('.')[0] || 'host'
  return measured.map(
    ({ source, first }) => new HostSensor(describe(source, machine), host, first, source.measure),
  )
}

/** A part outside the computer that is away now is said and left out; anything else is an error. */
async function firstOf(source: HostSource, host: Host): Promise<number | undefined> {
  try {
    return await source.measure()
  } catch (error) {
    if (!source.mayBeAway || !(error instanceof HalError)) throw error
    host.log.warn('host sensor left out', { sensor: source.name, error })
    return undefined
  }
}

function describe(
  { object, name, deviceClass, unit, binary }: HostSource,
  machine: string,
): HostSensor['info'] {
  const words = machine.toLowerCase().match(/[a-z0-9]+/g) ?? ['host']
  const slug = words.join('_')
  const kind = binary ? 'binary_sensor' : 'sensor'
  return {
    id: `${kind}.${slug}_${object}`,
    kind,
    name: `${machine} ${name}`,
    device: { id: slug, name: machine },
    ...(deviceClass === undefined ? {} : { deviceClass }),
    ...(unit === undefined ? {} : { unit }),
    simulated: false,
  }
}

async function findSources(roots: Roots, power: Board['power']): Promise<HostSource[]> {
  const zone = await cpuThermalZone(roots.sys)
  const temperature: HostSource[] = zone
    ? [
        {
          object: 'cpu_temperature',
          name: 'CPU temperature',
          deviceClass: 'temperature',
          unit: '°C',
          measure: () => cpuTemperature(zone),
        },
      ]
    : []
  return [
    ...temperature,
    { object: 'load', name: 'load (1 minute)', measure: () => load(join(roots.proc, 'loadavg')) },
    {
      object: 'memory_used',
      name: 'memory in use',
      unit: '%',
      measure: () => memoryUsed(join(roots.proc, 'meminfo')),
    },
    { object: 'disk_used', name: 'disk in use', unit: '%', measure: diskUsed },
    ...(await kernelSources(roots.sys, power)),
  ]
}

/** The zone of the CPU by its type; never by number, which moves. Without a known type, the first zone. */
async function cpuThermalZone(sys: string): Promise<string | undefined> {
  const folder = join(sys, 'class', 'thermal')
  const names = await readdir(folder).catch(() => [])
  const zones = names.filter((name) => /^thermal_zone\d+$/.test(name)).sort()
  for (const zone of zones) {
    const type = await readOptional(join(folder, zone, 'type'))
    if (type && /cpu|soc|x86_pkg_temp/i.test(type)) return join(folder, zone)
  }
  return zones[0] && join(folder, zones[0])
}

async function cpuTemperature(zone: string): Promise<number | undefined> {
  const path = join(zone, 'temp')
  const text = await readOptional(path)
  if (text === undefined) return undefined
  if (!/^-?\d+\s*$/.test(text)) throw malformed(path, 'is not a temperature in thousandths of °C')
  return Math.round(Number(text) / 100) / 10
}

async function load(path: string): Promise<number | undefined> {
  const text = await readOptional(path)
  if (text === undefined) return undefined
  const [, minute] = /^(\d+\.\d+) /.exec(text) ?? []
  if (minute === undefined) throw malformed(path, 'does not start with the load of the last minute')
  return Number(minute)
}

async function memoryUsed(path: string): Promise<number | undefined> {
  const text = await readOptional(path)
  if (text === undefined) return undefined
  const total = Number(/^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1])
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1])
  if (!(total > 0) || !(available >= 0)) throw malformed(path, 'has no MemTotal and MemAvailable')
  return percent(1 - available / total)
}

/** Of the file system that holds the working directory, where the device keeps its state. */
async function diskUsed(): Promise<number | undefined> {
  const { blocks, bavail } = await statfs('.')
  return blocks > 0 ? percent(1 - bavail / blocks) : undefined
}

function percent(fraction: number): number {
  return Math.round(fraction * 1000) / 10
}

function malformed(path: string, why: string): HalError {
  return new HalError('malformed', `${path} ${why}`)
}

/** Undefined when there is no such file or the kernel has no reading for it now (a thermal zone may be disabled). */
async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return undefined
  }
}
