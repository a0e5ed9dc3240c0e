/** The gateway's HTTP API. Every call has a deadline; a failure is an ApiError whose message is one line for a person. */
import type { AgentDone, AgentLogs, AgentMay, AgentView } from '../../../runtime/wire/agents.ts'
import type { ApprovalsResult, ApproveResult } from '../../../runtime/wire/approvals.ts'
import type { BoardFact } from '../../../runtime/wire/board.ts'
import type { AgentsAnswer, DecisionView, SessionAnswer } from '../../../runtime/wire/http.ts'
import type {
  CommandEvent,
  CommandReport,
  HomeMessage,
  Json,
  SayResult,
  StatusResult,
} from '../../../runtime/wire/messages.ts'
import type { TopResult } from '../../../runtime/wire/top.ts'
import type { DeviceView, EntityView } from './entity.ts'

/** Above the gateway's own deadlines, so that its words are heard: a command 60 s, a long recording 300 s. */
const commandMs = 65_000
const hearMs = 310_000
const callMs = 10_000
/** To stop an agent its turn must end: 30 s at the gateway. */
const agentMs = 35_000

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export interface Home {
  readonly devices: readonly DeviceView[]
  readonly entities: readonly EntityView[]
}

/** Events of one utterance or command, oldest first. */
export interface RunRecord {
  readonly run: string
  readonly device: string
  readonly events: readonly CommandEvent[]
}

export const faultKinds = ['stuck', 'slow', 'lost-command', 'lying', 'offline'] as const
export type FaultKind = (typeof faultKinds)[number]

async function call<T>(path: string, limitMs: number, init: RequestInit = {}): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, { ...init, signal: AbortSignal.timeout(limitMs) })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError')
      throw new ApiError('deadline', `No answer within ${limitMs / 1000} s`)
    throw new ApiError('unreachable', 'The gateway cannot be reached')
  }
  const body: unknown = await response.json().catch(() => undefined)
  if (!response.ok) throw failure(response.status, body)
  return body as T
}

/** The API says `{error: {code, message}}`; anything else was said by something in between. */
function failure(status: number, body: unknown): ApiError {
  const error = (body as { error?: { code?: unknown; message?: unknown } } | undefined)?.error
  if (typeof error?.message === 'string') return new ApiError(String(error.code), error.message)
  return new ApiError(`http-${status}`, `The gateway answered with status ${status}`)
}

function post<T>(path: string, body: unknown, limitMs = commandMs): Promise<T> {
  return call<T>(path, limitMs, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

function entityPath(entity: EntityView, what: string): string {
  return `api/entities/${encodeURIComponent(entity.id)}/${what}`
}

function devicePath(device: string, ...rest: readonly string[]): string {
  return ['api/devices', ...[device, ...rest].map(encodeURIComponent)].join('/')
}

/** What somebody says of themselves; a PIN is kept nowhere. */
export interface Said {
  readonly by?: string
  readonly pin?: string
}

/** Devices as `/api/entities` lists them. */
interface ListedDevice {
  readonly id: string
  readonly availability: DeviceView['availability']
  readonly home?: Pick<HomeMessage, 'device'>
}

async function home(): Promise<Home> {
  const { devices, entities } = await call<{
    readonly devices: readonly ListedDevice[]
    readonly entities: readonly EntityView[]
  }>('api/entities', callMs)
  const views = devices.map(({ id, availability, home }) => ({
    id,
    availability,
    name: home?.device.name ?? id,
    simulated: home?.device.simulated ?? false,
  }))
  return { devices: views, entities }
}

export const api = {
  home,
  commands: (limit: number) =>
    call<{ readonly runs: readonly RunRecord[] }>(`api/commands?limit=${limit}`, callMs),
  status: (device: string) => call<StatusResult>(`api/devices/${encodeURIComponent(device)}/status`, callMs),
  /** `device` may be left out where only one is online. */
  say: (text: string, device: string | undefined) => post<SayResult>('api/say', { text, device }),
  hear: (wav: Blob, device: string | undefined) =>
    call<SayResult>(
      device === undefined ? 'api/hear' : `api/hear?device=${encodeURIComponent(device)}`,
      hearMs,
      {
        method: 'POST',
        headers: { 'content-type': 'audio/wav' },
        body: wav,
      },
    ),
  command: (entity: EntityView, command: Readonly<Record<string, Json>>) =>
    post<CommandReport>(entityPath(entity, 'command'), { command, device: entity.device }),
  fault: (entity: EntityView, kind: FaultKind | null) =>
    post<unknown>(entityPath(entity, 'fault'), {
      fault: kind === null ? null : { kind },
      device: entity.device,
    }),
  agents: () => call<AgentsAnswer>('api/agents', callMs),
  decisions: () => call<{ readonly decisions: readonly DecisionView[] }>('api/decisions', callMs),
  /** Without a device nobody could say. */
  board: () =>
    call<{ readonly device?: string; readonly facts: readonly BoardFact[]; readonly more?: boolean }>(
      'api/board',
      callMs,
    ),
  session: () => call<SessionAnswer>('api/session', callMs),
  top: (device: string) => call<TopResult>(devicePath(device, 'top'), callMs),
  /** Why an agent does not run, in its own words where it failed: these are told to who asks alone. */
  agentReason: async (device: string, agent: string): Promise<string | undefined> => {
    const { agents } = await call<{ agents: readonly AgentView[] }>(devicePath(device, 'agents'), agentMs)
    return agents.find(({ name }) => name === agent)?.reason
  },
  agentLog: (device: string, agent: string, lines: number) =>
    call<AgentLogs>(`${devicePath(device, 'agents', agent, 'logs')}?lines=${lines}`, agentMs),
  /** Anybody may. */
  agentStop: (device: string, agent: string) =>
    post<unknown>(devicePath(device, 'agents', agent, 'stop'), {}, agentMs),
  agentDo: (device: string, agent: string, what: 'resume' | 'remove', said: Said) =>
    post<AgentDone>(devicePath(device, 'agents', agent, what), said, agentMs),
  agentMay: (device: string, agent: string) =>
    call<AgentMay>(devicePath(device, 'agents', agent, 'grants'), agentMs),
  agentGrant: (
    device: string,
    agent: string,
    change: { readonly allow: string } | { readonly deny: readonly string[] },
    said: Said,
  ) => post<AgentMay>(devicePath(device, 'agents', agent, 'grants'), { ...change, ...said }, agentMs),
  /** With the people whom the device itself knows. */
  approvals: (device: string) => call<ApprovalsResult>(devicePath(device, 'approvals'), agentMs),
  answer: (device: string, approval: string, answer: string, said: Said) =>
    post<ApproveResult>(devicePath(device, 'approvals', approval), { answer, ...said }, agentMs),
  logout: () => call<unknown>('api/session', callMs, { method: 'DELETE' }),
  /** Shows the gateway's token once; a cookie stands for it from then on. */
  login: (token: string) => post<unknown>('api/session', { token }),
}
