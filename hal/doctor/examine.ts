/**
 * One look at this machine: board, header, buses and who answers, accelerators, heat and power, memory, watchdog, groups;
 * what is wrong and what to do. Every look has a deadline; one that fails is a finding ([doctor-1]).
 */
import { type AcceleratorProbe, probeAccelerators } from '../accelerators/probe.ts'
import type { Board } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { Examination, Finding, NodeReport } from '../contract/examination.ts'
import type { HardwareConfig } from '../contract/hardware-config.ts'
import type { Host } from '../contract/host.ts'
import { parts as knownParts } from '../drivers/index.ts'
import { detectBoard, type Roots } from '../linux/board-detect.ts'
import { readPower, readThermal } from '../linux/hwmon.ts'
import { probeI2c } from '../linux/linux-io.ts'
import { type AskI2c, lookAtBuses } from './buses.ts'
import { findingsOf } from './findings.ts'
import { memory, watchdog } from './machine.ts'
import {
  type AskChip,
  askChip,
  gpioChips,
  type NodeLook,
  nodesLike,
  readGroups,
  serialPorts,
  thisUser,
  type User,
} from './nodes.ts'
import { noUses, usesOf } from './uses.ts'

export interface ExamineOptions {
  readonly boards: readonly Board[]
  readonly host: Pick<Host, 'clock'>
  /** Parts that the configuration attaches. */
  readonly hardware?: HardwareConfig
  /** Ask I2C buses who is there. */
  readonly probeBuses: boolean
  /** Names of adapters that are configured. */
  readonly adapters?: readonly string[]
  readonly roots?: Roots
  readonly arch?: string
  /** Replaceable in tests: who the user is, and what only a kernel can answer. */
  readonly user?: User
  readonly groupFile?: string
  readonly askI2c?: AskI2c
  readonly askChip?: AskChip
}

/** Far more than a healthy machine takes for any of them. */
const lookMsMax = 5_000
const defaultRoots: Roots = { proc: '/proc', sys: '/sys', dev: '/dev' }

/** Throws HalError `unsupported` for a machine that no board fits, and nothing else. */
export async function examine(options: ExamineOptions): Promise<Examination> {
  const roots = options.roots ?? defaultRoots
  const { board, recognisedBy } = await detectBoard(options.boards, roots, options.arch ?? process.arch)
  const look: NodeLook = {
    roots,
    user: options.user ?? thisUser(),
    groups: readGroups(options.groupFile ?? '/etc/group'),
  }
  const drivers = knownParts.map(({ driver }) => driver)
  const uses = options.hardware ? usesOf(options.hardware, board, drivers) : noUses
  const looks = new Looks(options.host)
  const ask = options.probeBuses ? (options.askI2c ?? probeI2c) : undefined
  const buses = () => lookAtBuses({ board, look, drivers, parts: uses.parts, ...(ask ? { ask } : {}) })
  const adapters = options.adapters ?? []
  const dog = await looks.at('watchdog', () => watchdog(look, board), undefined)
  const seen = {
    board: { id: board.id, name: board.name, recognisedBy, generic: board.id.startsWith('generic-') },
    headers: board.headers,
    pinUses: uses.pinUses,
    buses: await looks.at('buses', buses, []),
    gpioChips: await looks.at('GPIO', () => gpioChips(look, options.askChip ?? askChip), []),
    serialPorts: await looks.at('serial ports', () => serialPorts(look), []),
    accelerators: await looks.at<AcceleratorProbe[]>(
      'accelerators',
      () => probeAccelerators(board, { roots, adapters }),
      [],
    ),
    thermal: await looks.at('heat', () => readThermal(roots.sys, board.thermal), []),
    power: await looks.at('power', () => readPower(roots.sys, board.power), []),
    memory: await looks.at('memory', () => memory(roots.proc, board), { budgetMb: board.memoryBudgetMb }),
    ...(dog ? { watchdog: dog } : {}),
    groups: await looks.at('groups', () => groups(look), { in: [], missing: [] }),
  }
  return { ...seen, findings: [...looks.failures, ...findingsOf(seen, { board, drivers, uses })] }
}

/** Makes looks, each with its deadline, and keeps what went wrong. */
class Looks {
  readonly failures: Finding[] = []
  readonly #host: Pick<Host, 'clock'>

  constructor(host: Pick<Host, 'clock'>) {
    this.#host = host
  }

  async at<Seen>(check: string, look: () => Promise<Seen>, nothing: Seen): Promise<Seen> {
    let cancel = () => {}
    const late = new Promise<never>((_resolve, reject) => {
      cancel = this.#host.clock.after(lookMsMax, () =>
        reject(new HalError('timeout', `no answer within ${lookMsMax / 1000} s`)),
      )
    })
    try {
      return await Promise.race([look(), late])
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.failures.push({
        check,
        severity: 'warn',
        found: `could not be looked at: ${reason}`,
        next: 'see what the kernel says with: sudo dmesg | tail',
      })
      return nothing
    } finally {
      cancel()
    }
  }
}

/** Nodes of the kinds that Ganglion has a use for. */
const wanted =
  /^(gpiochip\d+|i2c-\d+|spidev\d+\.\d+|tty(AMA|THS|USB|ACM)\d+|video\d+|iio:device\d+|watchdog\d*)$/

async function groups(look: NodeLook): Promise<Examination['groups']> {
  const denied = (await nodesLike(wanted, look)).filter(({ usable }) => !usable)
  const byGroup = new Map<string, string[]>()
  for (const { path, group } of denied) {
    const owner = group ?? 'root'
    byGroup.set(owner, [...(byGroup.get(owner) ?? []), nameOf(path, look)])
  }
  return {
    in: look.user.gids.flatMap((gid) => look.groups.get(gid) ?? []),
    missing: [...byGroup].map(([group, nodes]) => ({ group, nodes })),
  }
}

const nameOf = (path: NodeReport['path'], { roots }: NodeLook) => `/dev${path.slice(roots.dev.length)}`
