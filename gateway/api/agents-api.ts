/** Routes for the agents of a device; the device decides, this passes on. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import {
  type AgentView,
  agentDone,
  agentGrants,
  agentList,
  agentLogLinesMax,
  agentLogs,
} from '../../runtime/wire/agents.ts'
import { approvalsResult, approveParams, approveResult } from '../../runtime/wire/approvals.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
  agentMay,
  grantParams,
import { check } from '../../runtime/wire/messages.ts'
import { ApiError } from './api-error.ts'
import type { Devices } from './devices.ts'

const runBody = v.strictObject({
import { type PersonParams, personParams } from '../../runtime/wire/person.ts'
  bundle: v.pipe(v.string(), v.maxLength(wireLimits.bundleBytesMax, 'is larger than a bundle may be')),
  grants: v.optional(agentGrants),
  ...own,
import type { People } from './people.ts'
import type { Site } from './site.ts'

/** What a request may say of who asks. */
const { gateway: _, ...own } = personParams
})
const logsQuery = v.strictObject({
  lines: v.optional(
    v.pipe(
      v.string(),
const changeBody = v.strictObject(own)
const grantBody = v.strictObject({ ...grantParams, ...own })
      v.regex(/^\d{1,4}$/, 'is not a number'),
      v.transform(Number),
      v.minValue(1),
      v.maxValue(agentLogLinesMax),
    ),
  ),
})
/** JSON in JSON: quotation marks and line ends take two bytes each. */
const runBytesMax = 3 * wireLimits.bundleBytesMax
/** Agents of one device that are listed: more than its configuration allows. */
const agentsMax = 1_000

const approveBody = v.strictObject(approveParams)

function checked<T>(schema: v.GenericSchema<unknown, T>, value: unknown): T {
  const result = check(schema, value)
  if (result.ok) return result.value
  throw new ApiError('bad-request', result.reason)
}

const placeOf = (request: FastifyRequest) => request.params as { id: string; name: string }

export function addAgentsApi(app: FastifyInstance, { devices }: { readonly devices: Devices }): void {
  app.get('/api/devices/:id/agents', async (request) => ({ agents: await all(devices, placeOf(request).id) }))
  app.post('/api/devices/:id/agents', { bodyLimit: runBytesMax }, (request) => {
    const body = checked(runBody, request.body)
    return devices.agent(placeOf(request).id, { ask: 'run', ...body }, agentDone)
  })
  for (const ask of ['stop', 'resume', 'remove'] as const)
    app.post(`/api/devices/:id/agents/:name/${ask}`, (request) => {
      const { id, name } = placeOf(request)
      const body = checked(changeBody, request.body ?? {})
      return devices.agent(id, { ask, name, ...whoAsks(request, body) }, agentDone)
    })
  app.get('/api/devices/:id/approvals', (request) =>
    devices.agent(placeOf(request).id, { ask: 'approvals' }, approvalsResult),
  )
  app.post('/api/devices/:id/approvals/:name', (request) => {
    const { id, name: approval } = placeOf(request)
    const answer = checked(approveBody, { ...(request.body as object | null), approval })
    return devices.agent(id, { ask: 'approve', ...answer }, approveResult)
  })
  app.get('/api/devices/:id/agents/:name/logs', (request) => {
    const { id, name } = placeOf(request)
    const { lines = agentLogLinesMax } = checked(logsQuery, request.query)
    return devices.agent(id, { ask: 'logs', name, lines }, agentLogs)
  })
}
  app.get('/api/devices/:id/agents/:name/grants', (request) => {
    const { id, name } = placeOf(request)
    return devices.agent(id, { ask: 'grants', name }, agentMay)
  })
  app.post('/api/devices/:id/agents/:name/grants', (request) => {
    const { id, name } = placeOf(request)
    const body = checked(grantBody, request.body)
    return devices.agent(id, { ask: 'grant', name, ...body, ...whoAsks(request, body) }, agentMay)
  })

/** Page by page, as an answer of a device has a limit. */
async function all(devices: Devices, device: string): Promise<AgentView[]> {
  const found: AgentView[] = []
  while (found.length < agentsMax) {
    const last = found.at(-1)?.name
    const { agents, more } = await devices.agent(
      device,
      { ask: 'list', ...(last === undefined ? {} : { after: last }) },
      agentList,
    )
    found.push(...agents)
    if (!more || agents.length === 0) break
  }
  return found
}
