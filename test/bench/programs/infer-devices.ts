/**
 * So many devices, each with a connection of its own to a gateway's broker, that each have inference done there again as soon as
 * they have an answer, for a while, each time it is told to. Arguments: the broker's port, how many.
 */
import { answerParent } from '../answering.ts'
import { type OffloadDevice, openDevice, untilOffered } from '../offload-devices.ts'

export interface DevicesQuestion {
  readonly model: string
  readonly input: string
  /** Of the input; its first axis is 1. */
  readonly shape: readonly number[]
  /** 0: only waits until every device knows of the model. */
  readonly ms: number
}
export interface DevicesAnswer {
  readonly answers: number
  readonly seconds: number
  readonly latencyMs: readonly number[]
  /** The largest number in any answer: the same whichever way, or the work was not the same. */
  readonly largest: number
}

const [port, count] = process.argv.slice(2).map(Number) as [number, number]
const deadlineMs = 30_000
const { signal } = new AbortController()
const devices = await Promise.all(Array.from({ length: count }, (_, n) => openDevice(port, `device-${n}`)))

answerParent(async ({ model, input, shape, ms }: DevicesQuestion): Promise<DevicesAnswer> => {
  await Promise.all(devices.map((device) => untilOffered(device, model, 1, signal)))
  const length = shape.reduce((product, one) => product * one, 1)
  const data = new Float32Array(length).fill(0.5)
  const limits = { priority: 'interactive', deadlineMs, privacy: 'site' } as const
  const request = { ...limits, model, inputs: [{ name: input, datatype: 'FP32', shape, data } as const] }
  const latencyMs: number[] = []
  let largest = Number.NEGATIVE_INFINITY
  const startMs = performance.now()
  const ask = async ({ client }: OffloadDevice) => {
    while (performance.now() - startMs < ms) {
      const sentMs = performance.now()
      for await (const { outputs } of client.infer(request, signal)) {
        const numbers = outputs[0]?.datatype === 'FP32' ? outputs[0].data.subarray(0, 64) : []
        largest = Math.max(largest, ...numbers)
      }
      latencyMs.push(performance.now() - sentMs)
    }
  }
  await Promise.all(devices.map(ask))
  return { answers: latencyMs.length, seconds: (performance.now() - startMs) / 1000, latencyMs, largest }
})
