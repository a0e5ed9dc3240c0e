/**
 * Opens a sensor module from disk as a sensor: a class as its default export, after ECMA-419's Sensor Class Pattern
 * (clause 13): constructor, `configure`, `sample`, `close`. To be used in a thread of the module's own.
 *
 * Invariant: [ecma-419-3] what a module throws, or calls `onError` for, is that sensor's error and nobody else's.
 */
import { pathToFileURL } from 'node:url'
import type { DriverContext, Options, SensorDevice, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { IoClasses } from './io-classes.ts'
import { moduleDriver } from './module-driver.ts'
import { buildModuleWorld } from './module-world.ts'
import { readingOf } from './samples.ts'

interface SensorClass {
  new (
    options: Readonly<Record<string, unknown>>,
  ): {
    configure?(options: Readonly<Record<string, unknown>>): void
    sample(): unknown
    close?(): void
    readonly identification?: { model?: string; classification?: string; uniqueID?: unknown }
  }
}

/** The driver of the module at this absolute path. */
export function loadModule(path: string): SensorDriver {
  let classes: IoClasses | undefined
  return {
    ...moduleDriver,
    async open(context) {
      const { io, at, id, host } = context
      classes ??= buildModuleWorld(io, at, id, host.clock)
      return open(path, await importClass(path), classes, context)
    },
  }
}

async function importClass(path: string): Promise<SensorClass> {
  let exported: unknown
  try {
    exported = ((await import(pathToFileURL(path).href)) as { default?: unknown }).default
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    throw new HalError('unsupported', `${path} cannot be loaded: ${reason}`, { cause: error })
  }
  const isClass = typeof exported === 'function' && typeof exported.prototype?.sample === 'function'
  if (!isClass)
    throw new HalError('unsupported', `${path}: its default export is no class with a "sample" method`)
  return exported as SensorClass
}

function open(path: string, Sensor: SensorClass, classes: IoClasses, context: DriverContext): SensorDevice {
  const { at, options, host, id } = context
  const expected = moduleDriver.channels(options)
  let failed: HalError | undefined
  const connection = connectionOf(at, options, classes)
  const sensor = new Sensor({
    // Most modules take their connection as `sensor`; some take it as the options themselves.
    ...connection,
    sensor: connection,
    onError: (reason: unknown) => {
      failed = new HalError('other', `${path} says that it failed${reason ? `: ${reason}` : ''}`)
    },
  })
  const own = Object.entries(options).filter(([name]) => !Object.hasOwn(moduleDriver.options, name))
  if (own.length > 0) sensor.configure?.(Object.fromEntries(own))
  let faults: readonly string[] = []
  let closed = false
  return {
    identification: {
      model: sensor.identification?.model ?? 'ECMA-419 module',
      classification: sensor.identification?.classification ?? 'unknown',
    },
    async sample() {
      if (closed) throw new HalError('closed', `${path} is closed`)
      const sample = await sensor.sample()
      if (failed) throw failed
      try {
        const taken = readingOf(sample, expected, host.clock.nowMs())
        faults = taken.faults
        return taken.reading
      } catch (error) {
        throw error instanceof HalError ? new HalError(error.code, `${id}: ${error.message}`) : error
      }
    },
    configure: (changed) => sensor.configure?.({ ...changed }),
    faults: () => faults,
    async [Symbol.asyncDispose]() {
      if (closed) return
      closed = true
      sensor.close?.()
    },
  }
}

/** The connection in the standard's words. Every pin of a bus is called by the bus's id: where it is, is the board's business. */
function connectionOf(
  at: DriverContext['at'],
  options: Options,
  classes: IoClasses,
): Readonly<Record<string, unknown>> {
  const { bus, address, pins } = at
  if (bus === undefined) {
    const { pin } = pins
    const io = classes[options['io'] as 'Digital' | 'Analog' | 'PulseCount']
    return { io, pin, signal: pin }
  }
  const place = { bus, port: bus }
  if (bus.startsWith('i2c')) return { io: classes.SMBus, ...place, data: bus, clock: bus, address }
  if (bus.startsWith('spi')) return { io: classes.SPI, ...place, out: bus, in: bus, clock: bus, select: bus }
  if (bus.startsWith('uart') || bus.startsWith('/dev/'))
    return { io: classes.Serial, ...place, receive: bus, transmit: bus }
  throw new HalError('unsupported', `the standard has no class for the bus ${bus}`)
}
