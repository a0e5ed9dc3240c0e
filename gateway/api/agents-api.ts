/**
 * Routes for agents: what devices last told of theirs, kept here, and what is asked of one device; the device decides, this passes
 * on. Who asks is said to the device as this gateway knows them, never as the request says.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import {
  type AgentView,
  agentDone,
  agentForgot,
  agentGrants,
  agentList,
  agentLogLinesMax,
  agentLogs,
  agentMay,
  agentMoved,
  agentPolicy,
  grantParams,
} from '../../runtime/wire/agents.ts'
import { approvalsResult, approveParams, approveResult } from '../../runtime/wire/approvals.ts'
import type { AgentsAnswer, DecisionView, SessionAnswer } from '../../runtime/wire/http.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { check } from '../../runtime/wire/messages.ts'
import { type PersonParams, personParams } from '../../runtime/wire/person.ts'
import { deviceId } from '../../runtime/wire/signed.ts'
import { ApiError } from './api-error.ts'
import type { Devices } from './devices.ts'
import type { People } from './people.ts'
import type { Site } from './site.ts'

/** What a request may say of who asks. */
const { gateway: _, prove: __, ...own } = personParams

const runBody = v.strictObject({
  bundle: v.pipe(v.string(), v.maxLength(wireLimits.bundleBytesMax, 'is larger than a bundle may be')),
  grants: v.optional(agentGrants),
  record: v.optional(v.boolean()),
  ...own,
})
const changeBody = v.strictObject(own)
const moveBody = v.strictObject({ to: deviceId, ...own })
const resumeBody = v.strictObject({ here: v.optional(v.boolean()), ...own })
const forgetBody = v.strictObject({ about: v.pipe(v.string(), v.minLength(1), v.maxLength(200)), ...own })
const grantBody = v.strictObject({ ...grantParams, ...own })
const logsQuery = v.strictObject({
  lines: v.optional(
    v.pipe(
      v.string(),
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

const approveBody = v.strictObject({ approval: approveParams.approval, answer: approveParams.answer, ...own })

function checked<T>(schema: v.GenericSchema<unknown, T>, value: unknown): T {
  const result = check(schema, value)
  if (result.ok) return result.value
  throw new ApiError('bad-request', result.reason)
}

const placeOf = (request: FastifyRequest) => request.params as { id: string; name: string }

interface AgentsApiDeps {
  readonly devices: Devices
  readonly people: People
  readonly site: Pick<Site, 'agents'>
}

export function addAgentsApi(app: FastifyInstance, { devices, people, site }: AgentsApiDeps): void {
  app.get('/api/agents', (): AgentsAnswer => ({ devices: site.agents.devices(), over: site.agents.over() }))
  app.get('/api/decisions', (): { decisions: DecisionView[] } => ({ decisions: site.agents.decisions() }))
  app.get('/api/session', (request) => sessionOf(request, people))
  app.get('/api/board', () => devices.board())
  app.get('/api/devices/:id/agents', async (request) => ({ agents: await all(devices, placeOf(request).id) }))
  app.post('/api/devices/:id/agents', { bodyLimit: runBytesMax }, (request) => {
    const body = checked(runBody, request.body)
    return devices.agent(
      placeOf(request).id,
      { ask: 'run', ...body, ...whoAsks(request, body, people) },
      agentDone,
    )
  })
  app.post('/api/devices/:id/policy', (request) => {
    const body = checked(changeBody, request.body ?? {})
    return devices.agent(
      placeOf(request).id,
      { ask: 'policy', ...whoAsks(request, body, people) },
      agentPolicy,
    )
  })
  app.post('/api/devices/:id/forget', (request) => {
    const body = checked(forgetBody, request.body)
    return devices.agent(
      placeOf(request).id,
      { ask: 'forget', ...body, ...whoAsks(request, body, people) },
      agentForgot,
    )
  })
  app.post('/api/devices/:id/agents/:name/move', (request) => {
    const { id, name } = placeOf(request)
    const body = checked(moveBody, request.body)
    return devices.agent(id, { ask: 'move', name, ...body, ...whoAsks(request, body, people) }, agentMoved)
  })
  app.post('/api/devices/:id/agents/:name/resume', (request) => {
    const { id, name } = placeOf(request)
    const body = checked(resumeBody, request.body ?? {})
    return devices.agent(id, { ask: 'resume', name, ...body, ...whoAsks(request, body, people) }, agentDone)
  })
  for (const ask of ['stop', 'remove'] as const)
    app.post(`/api/devices/:id/agents/:name/${ask}`, (request) => {
      const { id, name } = placeOf(request)
      const body = checked(changeBody, request.body ?? {})
      return devices.agent(id, { ask, name, ...whoAsks(request, body, people) }, agentDone)
    })
  app.get('/api/devices/:id/agents/:name/grants', (request) => {
    const { id, name } = placeOf(request)
    return devices.agent(id, { ask: 'grants', name }, agentMay)
  })
  app.post('/api/devices/:id/agents/:name/grants', (request) => {
    const { id, name } = placeOf(request)
    const body = checked(grantBody, request.body)
    return devices.agent(id, { ask: 'grant', name, ...body, ...whoAsks(request, body, people) }, agentMay)
  })
  app.get('/api/devices/:id/approvals', (request) =>
    devices.agent(placeOf(request).id, { ask: 'approvals' }, approvalsResult),
  )
  app.post('/api/devices/:id/approvals/:name', (request) => {
    const { id, name: approval } = placeOf(request)
    const body = checked(approveBody, { ...(request.body as object | null), approval })
    const { answers, why = '', person } = sessionOf(request, people)
    // What the device itself can check is proof enough, and a no to what an agent wants needs none: the device knows whether it is that.
    if (!answers && body.pin === undefined && body.local === undefined && body.answer !== 'no')
      throw new ApiError(person === undefined ? 'unauthorized' : 'forbidden', why)
    return devices.agent(id, { ask: 'approve', ...body, ...whoAsks(request, body, people) }, approveResult)
  })
  app.get('/api/devices/:id/agents/:name/logs', (request) => {
    const { id, name } = placeOf(request)
    const { lines = agentLogLinesMax } = checked(logsQuery, request.query)
    return devices.agent(id, { ask: 'logs', name, lines }, agentLogs)
  })
}

/**
 * A person whom the gateway knows is named by it; anybody else as they say, for the device to believe or not: where people are known
 * their word alone is not enough for what only a person may do.
 */
function whoAsks(request: FastifyRequest, body: PersonParams, people: People): PersonParams {
  const { visitor } = request
  const { by, pin, local } = body
  const said = {
    ...(sessionOf(request, people).answers ? {} : { prove: true }),
    ...(by === undefined ? {} : { by }),
    ...(pin === undefined ? {} : { pin }),
    ...(local === undefined ? {} : { local }),
  }
  return visitor.kind === 'person' ? { by: visitor.person.name, ...said, gateway: visitor.person.name } : said
}

function sessionOf({ visitor }: FastifyRequest, people: People): SessionAnswer {
  if (visitor.kind === 'anybody')
    return people.some
      ? { answers: false, why: 'only a person of this household may answer: log in with your own token' }
      : { answers: true }
  const { name: person, answers } = visitor.person
  return answers ? { person, answers } : { person, answers, why: `${person} may not answer what agents ask` }
}

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
