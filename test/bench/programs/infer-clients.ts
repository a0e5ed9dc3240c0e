/** So many clients that each ask a gateway again as soon as they have an answer, for a while, each time it is told to. */
import { Agent, request } from 'node:http'
import { oipRequest } from '../../../runtime/wire/oip-client.ts'
import { answerParent } from '../answering.ts'

export interface ClientsQuestion {
  readonly url: string
  readonly model: string
  readonly input: string
  /** Of the input; its first axis is 1. */
  readonly shape: readonly number[]
  readonly clients: number
  readonly ms: number
}
export interface ClientsAnswer {
  readonly answers: number
  readonly seconds: number
  readonly latencyMs: readonly number[]
  /** The largest number in any answer: the same whichever way, or the work was not the same. */
  readonly largest: number
}

answerParent(async (question: ClientsQuestion): Promise<ClientsAnswer> => {
  const { url, model, input, shape, clients, ms } = question
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const length = shape.reduce((product, one) => product * one, 1)
  const tensor = { name: input, datatype: 'FP32', shape, data: new Float32Array(length).fill(0.5) } as const
  const body = oipRequest({ id: 'x', inputs: [tensor], parameters: {}, binary: true })
  const headers = {
    'content-type': body.contentType,
    'content-length': body.bytes,
    'inference-header-content-length': body.jsonBytes,
  }
  const bytes = Buffer.concat(body.parts)
  const once = (): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const sent = request(
        `${url}/v2/models/${model}/infer`,
        { agent, method: 'POST', headers },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('end', () => {
            const whole = Buffer.concat(chunks)
            if (answer.statusCode === 200)
              resolve(whole.subarray(Number(answer.headers['inference-header-content-length'])))
            else reject(new Error(`${answer.statusCode}: ${whole.subarray(0, 200)}`))
          })
        },
      )
      sent.on('error', reject)
      sent.end(bytes)
    })
  const latencyMs: number[] = []
  let largest = Number.NEGATIVE_INFINITY
  const startMs = performance.now()
  const client = async () => {
    while (performance.now() - startMs < ms) {
      const sentMs = performance.now()
      const numbers = await once()
      latencyMs.push(performance.now() - sentMs)
      largest = Math.max(largest, ...new Float32Array(new Uint8Array(numbers).buffer).subarray(0, 64))
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  agent.destroy()
  return { answers: latencyMs.length, seconds: (performance.now() - startMs) / 1000, latencyMs, largest }
})
