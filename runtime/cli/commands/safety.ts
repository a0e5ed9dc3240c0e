/**
 * `ganglion safety status|arm|disarm|clear|token|audit`: the door of safety for a person at the device. It talks to the
 * device on this machine through its own socket, never over a network.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { SafetyStatus } from '../../../hal/contract/safety.ts'
import type { AuditLine, ControlRequest } from '../../../hal/contract/safety-control.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { exitCodes } from '../exit.ts'
import { readSecret } from '../secret.ts'
import type { Terminal } from '../terminal.ts'

export interface TokenOptions {
  readonly tokenFile?: string
}

const auditLinesMax = 10_000

export function safetyStatus(context: Context): Promise<number> {
  return tell({ command: 'status' }, context)
}

export function safetyDisarm(context: Context): Promise<number> {
  return tell({ command: 'disarm' }, context)
}

export async function safetyArm(options: TokenOptions, context: Context): Promise<number> {
  return tell({ command: 'arm', token: await tokenOf(options, context) }, context)
}

export async function safetyClear(fault: string, options: TokenOptions, context: Context): Promise<number> {
  return tell({ command: 'clear', fault, token: await tokenOf(options, context) }, context)
}

export async function safetyToken(context: Context): Promise<number> {
  const { terminal } = context
  const dir = safetyDir(context)
  const token = await (await context.hal()).safety.createToken(dir)
  if (terminal.json) terminal.out(JSON.stringify({ token }))
  else terminal.out(token)
  terminal.note(
    'Write it down now: it is not kept and is never shown again. Arming and clearing faults need it.',
  )
  return exitCodes.done
}

export async function safetyAudit(options: { lines?: string }, context: Context): Promise<number> {
  const { terminal } = context
  const wanted = Number(options.lines ?? 50)
  if (!(Number.isInteger(wanted) && wanted > 0 && wanted <= auditLinesMax))
    throw new UsageError(`--lines ${options.lines}: a number from 1 to ${auditLinesMax}`)
  const lines = await (await context.hal()).safety.readAudit(safetyDir(context), wanted)
  for (const line of lines) terminal.out(terminal.json ? JSON.stringify(line) : auditText(line, terminal))
  if (lines.length === 0) terminal.note('nothing was refused, and nothing went wrong, so far')
  return exitCodes.done
}

/** Sends one request and shows what safety is afterwards. A refusal is exit code 3. */
async function tell(request: ControlRequest, context: Context): Promise<number> {
  const { terminal, signal } = context
  const { safety } = await context.hal()
  try {
    show(await safety.ask(safetyDir(context), request, signal), terminal)
    return exitCodes.done
  } catch (error) {
    signal.throwIfAborted()
    if ((error as { code?: unknown }).code !== 'permission') throw error
    terminal.error(`refused: ${messageOf(error)}`)
    return exitCodes.refusedOrQuestion
  }
}

/** Under `up` the device's state is in a folder of the hub's. Throws UsageError where no device with actuators ever ran. */
function safetyDir({ hubDir }: Context): string {
  const candidates = [join(hubDir, 'device', 'safety'), join(hubDir, 'safety')].map((dir) => resolve(dir))
  const found =
    candidates.find((dir) => existsSync(join(dir, 'control.sock'))) ??
    candidates.find((dir) => existsSync(dir))
  if (found !== undefined) return found
  throw new UsageError(
    `no device with actuators has run with the state directory ${hubDir}: start it once, or name its directory with --state-dir`,
  )
}

async function tokenOf({ tokenFile }: TokenOptions, { signal }: Context): Promise<string> {
  if (tokenFile === undefined) return readSecret('safety token: ', '--token-file', signal)
  try {
    return readFileSync(tokenFile, 'utf8').trim()
  } catch (error) {
    throw new UsageError(`--token-file ${tokenFile}: ${messageOf(error)}`, { cause: error })
  }
}

function show(status: SafetyStatus, terminal: Terminal): void {
  if (terminal.json) terminal.out(JSON.stringify(status))
  else showText(status, terminal)
}

function showText(status: SafetyStatus, terminal: Terminal): void {
  const line = (label: string, text: string) =>
    terminal.out(`${terminal.style('dim', label.padEnd(16))}${text}`)
  const {
    armed,
    notArmedBecause,
    emergencyStop,
    faults,
    faultsNotStored,
    leases,
    outputs,
    watchdog,
    denials,
  } = status
  const because = notArmedBecause.length > 0 ? `: ${notArmedBecause.join('; ')}` : ''
  line('safety', armed ? terminal.style('green', 'armed') : terminal.style('yellow', `not armed${because}`))
  if (emergencyStop) line('emergency stop', terminal.style('red', 'pressed'))
  for (const { id, cause, components, message, atMs } of faults) {
    line('fault', terminal.style('red', `${id} (${cause}) on ${components.join(', ')}, ${timeOf(atMs)}`))
    line('', message)
  }
  if (faultsNotStored !== undefined)
    line('faults', terminal.style('red', `not stored, lost when the device stops: ${faultsNotStored}`))
  for (const { components, principal, leftMs } of leases)
    line('lease', `${components.join(', ')} by ${principal}, ${(leftMs / 1000).toFixed(1)} s left`)
  for (const { output, value, safe } of outputs)
    line('output', `${output} ${value}${value === safe ? '' : ` (safe: ${safe})`}`)
  line('watchdog', watchdog)
  line('refused so far', String(denials))
}

function auditText(
  { atMs, what, who, rule, component, message, count }: AuditLine,
  terminal: Terminal,
): string {
  const times = count === undefined ? '' : ` ×${count}`
  const where = [who, rule, component].filter((text) => text !== undefined && text !== '').join(' ')
  return `${terminal.style('dim', timeOf(atMs))} ${what}${times} ${where}: ${message}`
}

const timeOf = (atMs: number) => new Date(atMs).toISOString()
