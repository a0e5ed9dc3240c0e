/**
 * Where a person at the device talks to safety: a Unix socket in the safety directory, for this user only. One request a
 * connection, one line of JSON each way.
 *
 * Invariants: [safety-6] arming and clearing need the token, here and nowhere else; no network protocol leads here.
 * Requests are short, few at a time, and have a deadline.
 */
import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { HalError, type HalErrorCode } from '../contract/errors.ts'
import type { HostLog } from '../contract/host.ts'
import type { SafetyStatus } from '../contract/safety.ts'
import type { ControlRequest } from '../contract/safety-control.ts'
import type { AuditEntry } from './audit.ts'
import type { TokenGate } from './token.ts'

export type ControlAnswer =
  | { readonly ok: true; readonly status: SafetyStatus }
  | { readonly ok: false; readonly code: HalErrorCode; readonly message: string }

/** What a person may do; the socket decides whether. */
export interface Controlled {
  status(): Promise<SafetyStatus>
  arm(): Promise<void>
  disarm(because: string): Promise<void>
  clearFault(fault: string): Promise<void>
  audit(entry: AuditEntry): void
}

const requestBytesMax = 4_096
const connectionsMax = 8
/** From connecting to the answer. */
const requestMsMax = 10_000
/** struct sockaddr_un: sun_path is 108 bytes with its NUL. */
const pathBytesMax = 107

export const controlPath = (safetyDir: string) => join(safetyDir, 'control.sock')

export class ControlServer implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #path: string

  private constructor(server: Server, path: string) {
    this.#server = server
    this.#path = path
  }

  /** Throws HalError `busy` when another process serves this directory, `out-of-range` for a path that is too long. */
  static async open(
    safetyDir: string,
    deps: { readonly controlled: Controlled; readonly gate: TokenGate; readonly log: HostLog },
  ): Promise<ControlServer> {
    const path = controlPath(safetyDir)
    if (Buffer.byteLength(path) > pathBytesMax)
      throw new HalError('out-of-range', `${path}: a socket's path has at most ${pathBytesMax} bytes`)
    if (await answers(path))
      throw new HalError(
        'busy',
        `another process serves ${safetyDir}: two devices need two state directories`,
      )
    rmSync(path, { force: true })
    const server = createServer((socket) => opened.#serve(socket, deps))
    const opened = new ControlServer(server, path)
    server.maxConnections = connectionsMax
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
    server.on('error', (error) => deps.log.error('the control socket failed', { reason: String(error) }))
    chmodSync(path, 0o600)
    return opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
    rmSync(this.#path, { force: true })
  }

  #serve(socket: Socket, deps: { controlled: Controlled; gate: TokenGate }): void {
    this.#sockets.add(socket)
    const late = setTimeout(() => socket.destroy(), requestMsMax)
    let text = ''
    let taken = false
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(late)
      this.#sockets.delete(socket)
    })
    socket.on('data', (chunk: string) => {
      text += chunk
      if (taken) return
      if (text.length > requestBytesMax) return socket.destroy()
      if (!text.includes('\n')) return
      taken = true
      void answerTo(text, deps).then((answer) => socket.end(`${JSON.stringify(answer)}\n`))
    })
  }
}

async function answerTo(
  text: string,
  { controlled, gate }: { controlled: Controlled; gate: TokenGate },
): Promise<ControlAnswer> {
  try {
    await obey(parse(text), controlled, gate)
    return { ok: true, status: await controlled.status() }
  } catch (error) {
    const code = error instanceof HalError ? error.code : 'other'
    return { ok: false, code, message: error instanceof Error ? error.message : String(error) }
  }
}

async function obey(
  { command, fault, token }: ControlRequest,
  controlled: Controlled,
  gate: TokenGate,
): Promise<void> {
  if (command === 'status') return
  // Toward safe is open to whoever may reach the socket.
  if (command === 'disarm') return controlled.disarm('a person at the device disarmed it')
  try {
    await gate.check(token)
  } catch (error) {
    const message = `${command}: ${error instanceof Error ? error.message : error}`
    controlled.audit({ what: 'token-refused', who: 'user', rule: 'token', message })
    throw error
  }
  if (command === 'arm') await controlled.arm()
  else await controlled.clearFault(fault ?? '')
}

function parse(text: string): ControlRequest {
  const { command, fault, token } = asRecord(text)
  if (command !== 'status' && command !== 'arm' && command !== 'disarm' && command !== 'clear')
    throw new HalError('malformed', 'the commands are status, arm, disarm and clear')
  if (command === 'clear' && typeof fault !== 'string')
    throw new HalError('malformed', 'clear needs the id of a fault')
  return {
    command,
    ...(typeof fault === 'string' ? { fault } : {}),
    ...(typeof token === 'string' ? { token } : {}),
  }
}

function asRecord(text: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(text) }
  } catch {
    throw new HalError('malformed', 'a request is one line of JSON')
  }
}

/** Somebody listens there. What a dead process left behind refuses. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
