/** The routes under /api; README.md describes each. Bodies are checked here, work is done elsewhere. */
import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import { boardParams } from '../../runtime/wire/board.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { check } from '../../runtime/wire/messages.ts'
import { faultParams } from '../../runtime/wire/rpc.ts'
import type { OffloadTickets } from '../offload/tickets.ts'
import { type Access, noSession, securityHeaders } from './access.ts'
import { ApiError } from './api-error.ts'
import { runsMax } from './command-timeline.ts'
import type { Devices } from './devices.ts'
import type { Health } from './health.ts'
import { sendAnswer } from './offload-api.ts'
import type { Site } from './site.ts'
import type { Tickets } from './tickets.ts'

export interface RoutesDeps {
  readonly site: Site
  readonly devices: Devices
  readonly tickets: Tickets
  readonly offload: { readonly tickets: OffloadTickets }
  readonly access: Access
  readonly health: () => Health
}

const name = v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(128)))
const sayBody = v.strictObject({ text: v.string(), device: name, area: name })
const hearQuery = v.strictObject({ device: name, area: name })
const commandBody = v.strictObject({ command: v.record(v.string(), v.any()), device: name })
const faultBody = v.strictObject({ fault: faultParams.entries.fault, device: name })
const sessionBody = v.strictObject({ token: v.pipe(v.string(), v.maxLength(1024)) })
const commandsQuery = v.strictObject({
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,4}$/, 'is not a number'),
      v.transform(Number),
      v.minValue(1),
      v.maxValue(runsMax),
    ),
  ),
})

function checked<T>(schema: v.GenericSchema<unknown, T>, value: unknown): T {
  const result = check(schema, value)
  if (result.ok) return result.value
  throw new ApiError('bad-request', result.reason)
}

const idOf = (request: FastifyRequest) => (request.params as { id: string }).id

export function addRoutes(app: FastifyInstance, deps: RoutesDeps): void {
  addReading(app, deps)
  addActing(app, deps)
  addStream(app, deps)
}

function addReading(app: FastifyInstance, { site, devices, tickets, health, offload }: RoutesDeps): void {
  app.get('/api/health', () => health())
  app.get('/api/devices', () => ({
    devices: site.directory.devices().map(({ id }) => site.deviceSummary(id)),
  }))
  app.get('/api/devices/:id/status', (request) => devices.status(idOf(request)))
  app.get('/api/devices/:id/board', (request) => {
    const { pattern, after } = checked(boardParams, request.query)
    return devices.boardOf(idOf(request), { ...(pattern && { pattern }), ...(after && { after }) })
  })
  app.get('/api/devices/:id/together', (request) => devices.together(idOf(request)))
  app.get('/api/devices/:id/top', (request) => devices.top(idOf(request)))
  app.get('/api/devices/:id/decisions', (request) => devices.decisions(idOf(request)))
  app.get('/api/devices/:id/decisions/:decision', (request) => {
    const { decision } = request.params as { decision: string }
    return devices.decisions(idOf(request), decision)
  })
  app.get('/api/entities', () => ({
    devices: site.directory.devices(),
    entities: site.directory.entities(),
  }))
  app.get('/api/commands', (request) => {
    const { limit } = checked(commandsQuery, request.query)
    return { runs: site.timeline.recent(limit ?? runsMax) }
  })
  app.get('/api/tickets/:id', (request, reply) => {
    const recording = tickets.fetch(idOf(request))
    if (!recording) return sendAnswer(offload.tickets, idOf(request), reply)
    return reply
      .type(recording.type)
      .header('content-length', recording.bytes)
      .header('cache-control', 'no-store')
      .send(recording.stream)
  })
}

function addActing(app: FastifyInstance, { devices, access }: RoutesDeps): void {
  app.post('/api/say', (request) => {
    const { text, device, area } = checked(sayBody, request.body)
    return devices.say(device, text, area)
  })
  app.post('/api/hear', { bodyLimit: wireLimits.uploadBytesMax }, (request) => {
    const { device, area } = checked(hearQuery, request.query)
    if (!/^audio\/(x-|vnd\.)?wave?\b/i.test(request.headers['content-type'] ?? ''))
      throw new ApiError('unsupported-media-type', 'send the recording itself, as audio/wav')
    if (Number(request.headers['content-length'] ?? 0) > wireLimits.uploadBytesMax)
      throw new ApiError('too-large', 'the recording is too large')
    return devices.hear(device, request.body as Readable, area)
  })
  app.post('/api/entities/:id/command', (request) => {
    const { command, device } = checked(commandBody, request.body)
    return devices.command(device, idOf(request), command)
  })
  app.post('/api/entities/:id/fault', async (request) => {
    const { fault, device } = checked(faultBody, request.body)
    await devices.fault(device, idOf(request), fault)
    return { entity: idOf(request), fault }
  })
  app.post('/api/session', async (request, reply) => {
    const { token } = checked(sessionBody, request.body)
    return reply.header('set-cookie', await access.login(token, request.ip)).send({ ok: true })
  })
  app.delete('/api/session', (_request, reply) => reply.header('set-cookie', noSession).send({ ok: true }))
}

function addStream(app: FastifyInstance, { site }: RoutesDeps): void {
  app.get('/api/events', (request, reply) => {
    if (site.events.full) throw new ApiError('busy', 'too many pages are listening already: close one')
    reply.hijack()
    reply.raw.writeHead(200, {
      ...securityHeaders,
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    const last = request.headers['last-event-id']
    site.events.attach(reply.raw, typeof last === 'string' ? last : undefined)
  })
}
