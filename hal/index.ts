/** The door to the HAL for composition roots: everything else knows `hal/contract` by type only. */

import { conditionSensors } from './condition-sensors.ts'
import type { Board, Hal, OpenBoardOptions } from './contract/board.ts'
import type { Driver } from './contract/driver.ts'
import { HalError } from './contract/errors.ts'
import type { Examination } from './contract/examination.ts'
import type { Host } from './contract/host.ts'
import type { Sensor } from './contract/sensor.ts'
import type { ExamineOptions } from './doctor/examine.ts'
import { AplaySpeaker } from './linux/aplay-speaker.ts'
import { ArecordMicrophone } from './linux/arecord-microphone.ts'
import { type DetectedBoard, detectBoard, type Roots } from './linux/board-detect.ts'
import { ChildCamera, cameraSource } from './linux/camera.ts'
import { FrameBuffer } from './linux/frame-buffer.ts'
import { openHostSensors } from './linux/host-sensors.ts'
import { assembleBoard, type BoardParts } from './open-board.ts'
import { type ParsedHome, parseHome } from './sim/home.ts'
import { shareOf } from './sim/home-share.ts'
import { simulateHome } from './sim/sim-board.ts'

export { probeAccelerators } from './accelerators/probe.ts'
export { HalError } from './contract/errors.ts'
export { listInputs, watchInput } from './linux/evdev.ts'
export { readPower, readThermal } from './linux/hwmon.ts'
export { listIio } from './linux/iio.ts'
export { captureIio } from './linux/iio-buffer.ts'
export { takeInventory } from './linux/inventory.ts'
export { listOneWire } from './linux/one-wire.ts'
export { safetyControl } from './safety/control-client.ts'
export { type ParsedEntity, type ParsedHome, parseHome } from './sim/home.ts'
export { firstHomeUrl, sharedHomeUrl } from './sim/home-files.ts'

/** One look at this machine for `doctor`. Loaded when it is asked for: it knows every driver. */
export async function examine(options: ExamineOptions): Promise<Examination> {
  const doctor = await import('./doctor/examine.ts')
  return doctor.examine(options)
}

/** Everything that can be attached. Loaded when it is asked for. */
export async function listDrivers(): Promise<readonly Driver[]> {
  const [{ parts }, { moduleDriver }] = await Promise.all([
    import('./drivers/index.ts'),
    import('./ecma-419/module-driver.ts'),
  ])
  return [...parts.map(({ driver }) => driver), moduleDriver]
}

const simulatedBoardId = 'sim-raspberrypi-5'
const defaultRoots: Roots = { proc: '/proc', sys: '/sys', dev: '/dev' }
const nothing = { layout: { areas: [] }, sensors: [], actuators: [] }

/**
 * The HAL over a list of boards, which the composition root takes from `boards/index.ts`. `openBoard` with a home opens
 * the simulated board; without, the board that this machine is. Throws HalError `malformed` for a bad home,
 * `unsupported` for a machine that no board fits.
 */
export function createHal(boards: readonly Board[]): Hal {
  return {
    cutFrames: (frameBytes, clock) => new FrameBuffer(frameBytes, () => clock.nowMs()),
    async openAccelerator(config, cpu, host) {
      const accelerators = await import('./accelerators/index.ts')
      return accelerators.openAccelerator(config, cpu, host)
    },
    async openBoard(options, host, signal) {
      signal.throwIfAborted()
      const roots = options.roots ?? defaultRoots
      const home = options.home ? readHome(options.home) : undefined
      if (home && home.leftOut.length > 0)
        host.log.warn('left out of the simulated home: their kinds are not simulated', {
          entities: home.leftOut,
        })
      const detected = options.home
        ? simulatedBoard(boards, options.home.name)
        : await detectBoard(boards, roots, process.arch)
      const hostSensors = options.hostSensors
        ? await openHostSensors(roots, detected.board, host, signal)
        : []
      const world = home ? simulateHome(home, host, options.home?.share) : undefined
      const parts: BoardParts = {
        ...detected,
        ...nothing,
        simulated: world !== undefined,
        ...(world
          ? { layout: world.layout, actuators: world.actuators, sim: world.control, behind: world.behind }
          : {}),
        sensors: unique([...(world?.sensors ?? []), ...hostSensors]),
        conditions: conditionSensors(world?.sensors ?? [], hostSensors),
        ...mediaParts(options, host),
      }
      if (!options.hardware || options.hardware.parts.length === 0) return assembleBoard(parts)
      // Drivers are loaded only where something is attached.
      const { attachTo } = await import('./attached/attach-to.ts')
      try {
        return assembleBoard(await attachTo(parts, options.hardware, { ...options, roots }, host, signal))
      } catch (error) {
        await assembleBoard(parts)[Symbol.asyncDispose]()
        throw error
      }
    },
  }
}

function readHome({ yaml, name, share }: NonNullable<OpenBoardOptions['home']>): ParsedHome {
  const home = parseHome(yaml, name)
  return share ? shareOf(home, share) : home
}

function simulatedBoard(boards: readonly Board[], home: string): DetectedBoard {
  const board = boards.find((candidate) => candidate.id === simulatedBoardId)
  if (!board)
    throw new HalError('not-present', `no board ${simulatedBoardId} is listed, so no home can be simulated`)
  return { board, recognisedBy: `simulated, because the home ${home} was given` }
}

function mediaParts(
  { microphone, speaker, camera }: OpenBoardOptions,
  host: Host,
): Pick<BoardParts, 'microphone' | 'speaker' | 'camera'> {
  return {
    ...(microphone === undefined ? {} : { microphone: new ArecordMicrophone(microphone, host) }),
    ...(speaker === undefined ? {} : { speaker: new AplaySpeaker(speaker, host) }),
    ...(camera === undefined ? {} : { camera: new ChildCamera(cameraSource(camera), host) }),
  }
}

/** A home that already has a sensor of the same id keeps it: ids are unique on a device. */
function unique(sensors: readonly Sensor[]): Sensor[] {
  const byId = new Map<string, Sensor>()
  for (const sensor of sensors) if (!byId.has(sensor.info.id)) byId.set(sensor.info.id, sensor)
  return [...byId.values()]
}
