/**
 * A gateway's worker whose one model gives its inputs back at once, with the HTTP side for tickets, and beside it a plain HTTP echo at
 * `/echo`. First argument: the broker's port. Says its address.
 */
import fastify from 'fastify'
import { addOffloadApi, sendAnswer } from '../../../gateway/api/offload-api.ts'
import { OffloadListener } from '../../../gateway/offload/listener.ts'
import type { Serving } from '../../../gateway/offload/serving.ts'
import { realClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { answerParent } from '../answering.ts'

const serving: Serving = {
  models: () => [{ name: 'echo', version: '1', inputs: [], outputs: [], idempotent: true }],
  load: () => [{ model: 'echo', queued: 0, running: 0, queueMs: 0, loaded: true }],
  async *infer({ inputs }) {
    yield { id: '', final: true, outputs: inputs }
  },
}
const worker = 'bench'
const url = `mqtt://127.0.0.1:${process.argv[2]}`
const listener = await OffloadListener.open(
  { clock: realClock, log: silentLog, serving, bad: () => {} },
  { worker, base: 'ganglion', url, clientId: 'bench-worker' },
)
const app = fastify({ bodyLimit: 16 * 1024 * 1024 })
addOffloadApi(app, { worker, tickets: listener.tickets })
app.get('/api/tickets/:id', (request, reply) =>
  sendAnswer(listener.tickets, (request.params as { id: string }).id, reply),
)
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) =>
  done(null, body),
)
app.post('/echo', (request, reply) => reply.type('application/octet-stream').send(request.body))
const http = await app.listen({ host: '127.0.0.1', port: 0 })
answerParent(async () => ({ http }))
