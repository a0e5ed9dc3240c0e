/**
 * What `up` takes from the configuration before it starts anything: mistakes are found here at once, and what the two
 * sections say must fit together.
 */
import { accessSync, constants, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRecord, readConfigSection } from '../base/config-file.ts'
import { messageOf, UsageError } from '../base/errors.ts'
import { type DeviceConfig, loadDeviceConfig } from '../config/config.ts'
import { gatewayDir } from './commands/gateway.ts'
import type { Context } from './context.ts'
import { deviceDir } from './device-dir.ts'
import { type DeviceInputOptions, deviceInput } from './device-input.ts'
import { gatewayToken } from './gateway-token.ts'

export interface HubPlan {
  /** Undefined: where the configuration says. */
  readonly gatewayDir: string | undefined
  readonly devices: readonly DevicePlan[]
  readonly token: string | undefined
  /** The agents of the home are to be begun where they are not there yet. */
  readonly agents: boolean
}

export interface DevicePlan {
  /** Undefined: where the configuration says. */
  readonly stateDir: string | undefined
  /** Where it keeps its state, whoever says so. */
  readonly keeps: string
  readonly id: string
  /** Of the simulated home, as `deviceInput` takes it; undefined: all of it. */
  readonly share: string | undefined
  /** Of whose agents some may move to it; empty: of those that the configuration names. */
  readonly acceptFrom: readonly string[]
}

interface Options extends DeviceInputOptions {
  /** How many, in digits. */
  readonly devices: string
  readonly config?: string
  readonly broker?: string
  /** Undefined: in the home that is shipped for several devices, and in no other. */
  readonly agents?: boolean
}

type Section = Record<string, unknown>

/** Throws UsageError. */
export function planHub(options: Options, context: Context): HubPlan {
  const { config: file, broker } = options
  const read = (section: 'device' | 'gateway'): Section =>
    file === undefined ? {} : readConfigSection(file, section)
  const [ofDevice, ofGateway] = [read('device'), read('gateway')]
  const device = loadDeviceConfig(deviceInput(options, {}), file)
  checkHome(device)
  const devices = countOf(options.devices)
  if (devices > 1) checkSeveral(options, device)
  if (options.agents) checkAgents(options, device)
  if (file !== undefined) {
    checkBase(file, device.base, ofGateway)
    checkBroker(file, device.broker.url, broker ?? ofGateway['brokerUrl'])
  }
  return {
    gatewayDir: gatewayDir(ofGateway, context),
    devices: accepting(devicesOf(devices, device, deviceDir(ofDevice, context), context), ofDevice),
    token: gatewayToken() ?? tokenOf(ofGateway),
    agents: options.agents ?? (devices > 1 && options.home === undefined && file === undefined),
  }
}

function countOf(text: string): number {
  const devices = /^\d{1,2}$/.test(text) ? Number(text) : 0
  if (devices >= 1 && devices <= 16) return devices
  throw new UsageError(`--devices ${text}: must be 1 to 16`)
}

/** Several devices that one person starts on one machine take each other's agents, unless the configuration says whose. */
function accepting(devices: readonly Omit<DevicePlan, 'acceptFrom'>[], { agents }: Section): DevicePlan[] {
  const isSaid = isRecord(agents) && agents['acceptFrom'] !== undefined
  const ids = devices.map(({ id }) => id)
  return devices.map((one) => ({ ...one, acceptFrom: isSaid ? [] : ids.filter((id) => id !== one.id) }))
}

/** The first is the one that there is without `--devices`; what it keeps and is called stays the same. */
function devicesOf(
  devices: number,
  { id, stateDir: configured }: DeviceConfig,
  stateDir: string | undefined,
  { hubDir }: Context,
): Omit<DevicePlan, 'acceptFrom'>[] {
  const directory = join(hubDir, 'home')
  return Array.from({ length: devices }, (_, at) => {
    const part = at + 1
    const share = devices === 1 ? undefined : `${part}/${devices}:${directory}`
    if (at === 0) return { stateDir, keeps: stateDir ?? configured, id, share }
    const own = join(hubDir, `device-${part}`)
    return { stateDir: own, keeps: own, id: `${id}-${part}`, share }
  })
}

function checkHome({ home }: DeviceConfig): void {
  if (home === undefined) return
  try {
    accessSync(home, constants.R_OK)
  } catch (error) {
    throw new UsageError(`cannot read the home ${home}: ${messageOf(error)}`, { cause: error })
  }
}

/** Several devices share a simulated home; this machine's own pins are one device's. */
function checkSeveral({ home }: Options, { hardware }: DeviceConfig): void {
  if (home === false || hardware)
    throw new UsageError(
      `--devices: several devices share a simulated home: leave out ${home === false ? '--no-home' : 'device.hardware'}`,
    )
}

/** What is granted without a question is granted in a simulated home, and on nobody's own things. */
function checkAgents({ home }: Options, { hardware }: DeviceConfig): void {
  if (home === false || hardware)
    throw new UsageError(
      `--agents: begins agents in a simulated home only: leave out ${home === false ? '--no-home' : 'device.hardware'}, or run each yourself with "ganglion agent run"`,
    )
}

function checkBase(file: string, base: string, gateway: Section): void {
  const other = gateway['base'] ?? 'ganglion'
  if (other !== base)
    throw new UsageError(
      `${file}: device.base is ${base} and gateway.base is ${other}: they would not hear each other, make them the same`,
    )
}

function checkBroker(file: string, url: string | undefined, used: unknown): void {
  if (url !== undefined && url !== used)
    throw new UsageError(
      `${file}: device.broker.url is ${url}, but under "up" the device uses the gateway's broker: name it with gateway.brokerUrl or --broker`,
    )
}

/** What is wrong with the file is the gateway's to say, which reads it too. */
function tokenOf({ http }: Section): string | undefined {
  const file = (http as Section | undefined)?.['tokenFile']
  if (typeof file !== 'string') return undefined
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}
