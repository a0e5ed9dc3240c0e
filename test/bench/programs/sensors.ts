/**
 * A thousand thermometers read once a second: `attached` as a device does it, in a supervised thread; `bare` with the same
 * drivers on the same emulated parts and one `setInterval` a sensor, in this thread; `nothing` holds what both import.
 */
import { openAttached } from '../../../hal/attached/attached.ts'
import type { Host } from '../../../hal/contract/host.ts'
import { parts as known } from '../../../hal/drivers/index.ts'
import { createEmulatedIo } from '../../../hal/sim/bus/index.ts'
import { realClock } from '../../../runtime/base/clock.ts'
import { answerParent } from '../answering.ts'
import { sensorBoard } from '../sensor-board.ts'

const never = new AbortController().signal
const ignore = () => {}
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
const host: Host = { clock: realClock, log, random: Math.random }
const sensors = Number(process.argv[3])
let readings = 0
/** Reports that reached a listener: unchanged values are told twice a minute. */
let reports = 0
const fresh = await open(process.argv[2])

/** How many samples the sensors have shown so far. */
async function open(how: string | undefined): Promise<() => number> {
  const { board, parts } = sensorBoard(sensors)
  if (how === 'attached') {
    const attached = await openAttached(
      {
        config: { parts },
        board,
        drivers: known.map(({ driver }) => driver),
        io: { kind: 'emulated', board },
        layout: { areas: [] },
        taken: new Set(),
      },
      host,
      never,
    )
    for (const sensor of attached.sensors)
      sensor.onTelemetry(() => {
        reports += 1
      })
    return () => attached.sensors.reduce((sum, sensor) => sum + sensor.current().tsMs, 0)
  }
  if (how === 'bare') await openBare()
  return () => readings
}

async function openBare(): Promise<void> {
  const { io, attach } = createEmulatedIo({ host })
  const part = known.find(({ driver }) => driver.id === 'tmp102')
  if (part?.driver.role !== 'sensor') throw new Error('no tmp102')
  const { driver, emulator } = part
  for (const { id, bus = '', address = 0 } of sensorBoard(sensors).parts) {
    const at = { bus, address, pins: {} }
    attach(id, at, driver.connection, emulator({ host, at, options: {} }))
    const device = await driver.open({ io, at, options: {}, host, id }, never)
    setInterval(() => {
      device.sample(never).then(() => {
        readings += 1
      }, ignore)
    }, 1_000)
  }
}

answerParent(async ({ measureMs }: { measureMs: number }) => {
  const before = process.cpuUsage()
  const reportsBefore = reports
  const freshBefore = fresh()
  await new Promise((resolve) => setTimeout(resolve, measureMs))
  const { user, system } = process.cpuUsage(before)
  return {
    cpuPercent: ((user + system) / 1_000 / measureMs) * 100,
    moved: fresh() - freshBefore,
    reports: reports - reportsBefore,
  }
})
