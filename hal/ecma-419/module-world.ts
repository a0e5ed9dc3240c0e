/**
 * What a sensor module finds around it, in the thread that is its own: the global `device`, and the modules that it may
 * import by name (`embedded:io/…`, `embedded:provider/builtin`, `timer`, `crc`). Another sensor's module,
 * `embedded:sensor/<class>/<name>`, is the file `<name>.js` beside it.
 */
import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { At } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { HostClock } from '../contract/host.ts'
import type { Io } from '../contract/io.ts'
import { CRC8, CRC16 } from './crc.ts'
import { createIoClasses, type IoClasses } from './io-classes.ts'
import { createTimer } from './timer.ts'

/** Addresses of the modules that are made here, not read from disk. */
const scheme = 'ganglion-ecma-419:'
const shelf = Symbol.for('ganglion.ecma-419')

type Exports = Readonly<Record<string, unknown>>

/** Builds the world; once in a thread. */
export function buildModuleWorld(io: Io, at: At, id: string, clock: HostClock): IoClasses {
  const classes = createIoClasses(io, at, id, clock)
  const timer = createTimer(clock)
  const device = Object.freeze({ io: Object.freeze({ ...classes }) })
  const modules: Record<string, Exports> = {
    timer: { default: timer },
    crc: { default: CRC8, CRC8, CRC16 },
    'embedded:provider/builtin': { default: device },
  }
  for (const [name, IoClass] of Object.entries(classes))
    modules[`embedded:io/${name.toLowerCase()}`] = { default: IoClass }
  Object.assign(globalThis, { device, [shelf]: modules })
  installHooks(modules)
  return classes
}

function installHooks(modules: Readonly<Record<string, Exports>>): void {
  registerHooks({
    resolve(specifier, context, next) {
      if (Object.hasOwn(modules, specifier))
        return { url: `${scheme}${specifier}`, shortCircuit: true, format: 'module' }
      if (specifier.startsWith('embedded:'))
        return { url: neighbour(specifier, context.parentURL), shortCircuit: true }
      return next(specifier, context)
    },
    load(url, context, next) {
      if (!url.startsWith(scheme)) return next(url, context)
      const name = url.slice(scheme.length)
      return {
        format: 'module',
        source: sourceOf(name, modules[name] ?? {}),
        shortCircuit: true,
      }
    },
  })
}

function sourceOf(name: string, exports: Exports): string {
  const from = `globalThis[Symbol.for(${JSON.stringify(Symbol.keyFor(shelf))})][${JSON.stringify(name)}]`
  return Object.keys(exports)
    .map((key) =>
      key === 'default' ? `export default ${from}.default` : `export const ${key} = ${from}.${key}`,
    )
    .join('\n')
}

function neighbour(specifier: string, parent: string | undefined): string {
  const name = specifier.split('/').at(-1) ?? ''
  if (specifier.startsWith('embedded:sensor/') && parent?.startsWith('file:'))
    for (const file of [`${name}.js`, `${name.toLowerCase()}.js`]) {
      const path = fileURLToPath(new URL(file, parent))
      if (existsSync(path)) return pathToFileURL(path).href
    }
  throw new HalError('unsupported', `there is no module "${specifier}" here`)
}
