/** `ganglion audit verify|show`: what agents of this machine's device asked for and did, and whether the record was touched. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../../base/errors.ts'
import { Identity } from '../../base/identity.ts'
import { auditIn } from '../../observe/audit.ts'
import { type AuditLine, auditDevice, newestLines, verifyAudit } from '../../observe/audit-chain.ts'
import type { Context } from '../context.ts'
import { deviceStateDir, deviceStateDirs } from '../device-dir.ts'
import { exitCodes } from '../exit.ts'

export interface AuditCommandOptions {
  readonly config?: string
  readonly device?: string
  readonly lines?: string
}

/** Exit code 1 where the log is not as the device wrote it. */
export async function auditVerify(options: AuditCommandOptions, context: Context): Promise<number> {
  const { stateDir, directory, device } = await placeOf(options, context)
  const { terminal } = context
  const identity = Identity.open(device ?? '', stateDir)
  const report = await verifyAudit(directory, (...signed) => identity.verify(...signed))
  if (terminal.json) terminal.out(JSON.stringify(report))
  else if (report.ok)
    terminal.out(
      `${terminal.style('green', '✓')} ${device === undefined ? '' : `${device}: `}${count(report.lines, 'line')} in ${count(report.files, 'file')} are as the device wrote them, and signed up to line ${report.signedTo}`,
    )
  else for (const problem of report.problems) terminal.error(`the audit log was touched: ${problem}`)
  return report.ok ? exitCodes.done : exitCodes.failed
}

export async function auditShow(options: AuditCommandOptions, context: Context): Promise<number> {
  const { directory } = await placeOf(options, context)
  const { terminal } = context
  const most = Number(options.lines ?? 50)
  if (!(Number.isInteger(most) && most > 0))
    throw new UsageError(`--lines ${options.lines}: not a number above 0`)
  for (const line of await newestLines(directory, most))
    terminal.out(
      terminal.json ? JSON.stringify({ seq: line.seq, atMs: line.atMs, ...line.entry }) : inWords(line),
    )
  return exitCodes.done
}

const count = (of: number, what: string) => `${of} ${what}${of === 1 ? '' : 's'}`

interface Place {
  readonly stateDir: string
  readonly directory: string
  /** Undefined: the log does not say. */
  readonly device: string | undefined
}

/** The log of the device that is named, or of the only one. Throws UsageError. */
async function placeOf({ config, device: named }: AuditCommandOptions, context: Context): Promise<Place> {
  const dirs = config === undefined ? deviceStateDirs(context) : [deviceStateDir(config, context)]
  const places = await Promise.all(dirs.filter(hasLog).map(logIn))
  const found = places.filter(({ device }) => named === undefined || device === named)
  const [only, ...others] = found
  const there = places.map(({ device = 'one without a name' }) => device).join(', ')
  if (others.length > 0)
    throw new UsageError(
      `several devices of this machine have an audit log, name one with --device: ${there}`,
    )
  if (only) return only
  if (places.length > 0) throw new UsageError(`no device ${named} of this machine has an audit log: ${there}`)
  throw new UsageError(`there is no audit log in ${dirs[0]}: no agent has run there yet`)
}

const hasLog = (stateDir: string) =>
  existsSync(auditIn(stateDir)) && existsSync(join(stateDir, 'identity.key'))

async function logIn(stateDir: string): Promise<Place> {
  const directory = auditIn(stateDir)
  return { stateDir, directory, device: await auditDevice(directory) }
}

function inWords({ seq, atMs, entry }: AuditLine): string {
  const { kind, agent, op, about, ...rest } = entry
  const what = Array.isArray(about) ? about.join(', ') : ''
  const more = Object.entries(rest)
    .filter(([key]) => !['token', 'capability', 'before'].includes(key))
    .map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const parts = [new Date(atMs).toISOString(), String(seq), kind, agent, op, what, ...more]
  return parts.filter((part) => part !== undefined && part !== '').join('  ')
}
