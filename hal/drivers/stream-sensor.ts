/**
 * Sensors that send by themselves over a serial line: bytes go to the part's parser, whatever that completes is reported at
 * once, and a sample is the next that comes. Silence is `timeout`; bytes that never make a good message are `checksum`.
 */
import type { Reading } from '../contract/channels.ts'
import type { DriverContext, SensorDevice } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import { openSensor, type Values } from './sensor-device.ts'

export interface StreamParser {
  /** Takes what arrived, and gives what it completed. Keeps a bounded rest. */
  take(bytes: Uint8Array): readonly Values[]
  /** Messages that were refused, ever. */
  readonly refused: number
  faults?(): readonly string[]
}

export interface Stream {
  readonly baud: number
  readonly identification: SensorDevice['identification']
  readonly parser: StreamParser
  /** Longest time between two messages of a healthy part, milliseconds. */
  readonly messageMsMax: number
}

interface Waiting {
  resolve(values: Values): void
  reject(reason: unknown): void
}

export async function openStreamSensor(
  context: DriverContext,
  { baud, identification, parser, messageMsMax }: Stream,
  signal: AbortSignal,
): Promise<SensorDevice> {
  const { io, at, host } = context
  const port = at.bus ?? ''
  let device: SensorDevice | undefined
  let waiting: Waiting | undefined
  const report = (channels: Values) => {
    const reading: Reading = { channels, tsMs: host.clock.nowMs() }
    waiting?.resolve(channels)
    device?.onReading?.(reading)
  }
  const serial = io.serial({
    port,
    baud,
    onReadable: () => {
      for (const values of parser.take(serial.read())) report(values)
    },
    onError: (error) => waiting?.reject(error),
  })
  /** The next message. One sample waits at a time: `openSensor` sees to that. */
  const next = (aborted: AbortSignal) =>
    new Promise<Values>((resolve, reject) => {
      const refusedBefore = parser.refused
      const end = (settle: () => void) => {
        waiting = undefined
        cancel()
        aborted.removeEventListener('abort', onAbort)
        settle()
      }
      const onAbort = () => end(() => reject(aborted.reason))
      const cancel = host.clock.after(messageMsMax, () => {
        const why = parser.faults?.()[0]
        const garbled = parser.refused > refusedBefore
        const what = garbled ? 'nothing that arrived was whole' : (why ?? 'nothing arrived')
        end(() => reject(new HalError(garbled ? 'checksum' : 'timeout', `${port} at ${baud} baud: ${what}`)))
      })
      waiting = {
        resolve: (values) => end(() => resolve(values)),
        reject: (reason) => end(() => reject(reason)),
      }
      aborted.addEventListener('abort', onAbort, { once: true })
    })
  const sensor = {
    identification,
    setUp: async () => {},
    measure: next,
    faults: () => parser.faults?.() ?? [],
  }
  device = await openSensor(context, serial, sensor, signal)
  return device
}
