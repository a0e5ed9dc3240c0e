/**
 * Sensors that are one line: they report every change by themselves, and their level whenever they are sampled. The level,
 * not the edge, is the value: where edges were lost it is still right.
 */
import type { ChannelName, Quality, Reading } from '../contract/channels.ts'
import type { DriverContext, SensorDevice } from '../contract/driver.ts'
import type { DigitalMode } from '../contract/io.ts'
import { openSensor } from './sensor-device.ts'

export interface LineSensor {
  readonly channel: ChannelName
  readonly model: string
  readonly mode: DigitalMode
  quality(): Quality
  faults(): readonly string[]
}

/** Takes the options `activeLow` and `debounceMs`, and the pin `signal`. */
export async function openLineSensor(
  context: DriverContext,
  { channel, model, mode, quality, faults }: LineSensor,
  signal: AbortSignal,
): Promise<SensorDevice> {
  const { io, at, options, host } = context
  let device: SensorDevice | undefined
  const input = io.digital({
    pin: at.pins['signal'] ?? '',
    mode,
    activeLow: options['activeLow'] === true,
    debounceUs: Number(options['debounceMs']) * 1000,
    edge: { rising: true, falling: true },
    onReadable: () => device?.onReading?.(reading()),
    onError: (error) => device?.onError?.(error),
  })
  const values = () => ({ [channel]: { value: input.read(), quality: quality() } })
  const reading = (): Reading => ({ channels: values(), tsMs: host.clock.nowMs() })
  const sensor = {
    identification: { model, classification: channel },
    setUp: async () => {},
    measure: async () => values(),
    faults,
  }
  device = await openSensor(context, input, sensor, signal)
  return device
}
