/**
 * Checks a hardware configuration against the drivers and the board that there are. Every mistake is one line that names
 * its place; nothing is opened.
 *
 * Invariants: [attached-1] a plan comes only from a configuration without mistakes; [attached-2] no line, and no address
 * of a bus, has two users in a plan.
 */
import { isAbsolute } from 'node:path'
import type { Board, BoardBus } from '../contract/board.ts'
import type { At, Connection, Driver, Options, PinRules } from '../contract/driver.ts'
import type { HardwareConfig, PartConfig } from '../contract/hardware-config.ts'
import type { PinRef } from '../contract/io.ts'
import { checkOptions } from '../drivers/options.ts'
import { ledPrefix, providerOf } from '../drivers/provider-registry.ts'
import { moduleDriver, moduleDriverId } from '../ecma-419/module-driver.ts'
import { checkConstraints } from './check-constraints.ts'
import { boardLine, type Found, providerLine, Taken, type Use } from './lines.ts'
import { didYouMean } from './nearest.ts'
import type { AttachedPart, AttachedPlan } from './plan.ts'

/** More than any board has pins and addresses for; keeps a typo from becoming thousands of entities. */
const partsMax = 2_000
/** A day: what changes more slowly needs no sampling. */
const sampleEveryMsMax = 86_400_000

export type Checked =
  | { readonly ok: true; readonly plan: AttachedPlan }
  | { readonly ok: false; readonly problems: readonly string[] }

export function checkHardware(config: HardwareConfig, board: Board, drivers: readonly Driver[]): Checked {
  const check = new Check(config, board, drivers)
  const plan = check.run()
  return check.problems.length === 0 ? { ok: true, plan } : { ok: false, problems: check.problems }
}

class Check {
  readonly problems: string[] = []
  readonly #config: HardwareConfig
  readonly #board: Board
  readonly #drivers: readonly Driver[]
  readonly #lines = new Taken()
  readonly #busUsers = new Map<string, string>()
  readonly #ids = new Taken()

  constructor(config: HardwareConfig, board: Board, drivers: readonly Driver[]) {
    this.#config = config
    this.#board = board
    this.#drivers = drivers
  }

  run(): AttachedPlan {
    const { parts, safety = {} } = this.#config
    if (parts.length > partsMax) {
      this.problems.push(`hardware.parts: ${parts.length} parts; at most ${partsMax}`)
      return { parts: [], safety }
    }
    const drafts = parts.map((part, index) => ({ part, place: placeOf(part, index) }))
    // Buses first: the pins that they take are in use whichever part comes first.
    for (const { part, place } of drafts) this.#takeBus(part, place)
    const planned = drafts.flatMap(({ part, place }) => this.#part(part, place) ?? [])
    this.#safetyLines()
    this.#circles(planned)
    const known = new Map(planned.map((part) => [part.id, this.#driver(part.driver)]))
    this.problems.push(...checkConstraints(safety, planned, known))
    return { parts: planned, safety }
  }

  #driver(id: string): Driver | undefined {
    return id === moduleDriverId ? moduleDriver : this.#drivers.find((driver) => driver.id === id)
  }

  #part(part: PartConfig, place: string): AttachedPart | undefined {
    const say = (line: string) => this.problems.push(`${place}: ${line}`)
    const driver = this.#driver(part.driver)
    if (!driver) {
      const ids = this.#drivers.map(({ id }) => id)
      say(
        `there is no driver "${part.driver}"${didYouMean(part.driver, ids) || '; "ganglion drivers" lists them'}`,
      )
      return
    }
    this.#identity(part, place, say)
    const module = checkModule(part, say)
    const options = checkedOptions(driver, part, say)
    const at = this.#at(part, driver, place, say)
    const sampleEveryMs = this.#interval(part, driver, say)
    if (driver.role !== 'actuator' && (part.exclusive !== undefined || part.keepWithoutNetwork !== undefined))
      say('exclusive and keepWithoutNetwork are for actuators')
    return {
      place,
      id: part.id,
      driver: driver.id,
      role: driver.role,
      name: part.name ?? sentence(part.id),
      ...(part.area === undefined ? {} : { area: part.area }),
      at,
      options,
      sampleEveryMs,
      ...(module === undefined ? {} : { module }),
      exclusive: part.exclusive ?? false,
      keepWithoutNetwork: part.keepWithoutNetwork ?? false,
    }
  }

  #identity({ id }: PartConfig, place: string, say: (line: string) => void): void {
    if (!/^[a-z0-9][a-z0-9_]{0,47}$/.test(id))
      say(`"${id}" is no id: lower-case letters, digits and "_", at most 48`)
    if (id === ledPrefix) say(`"${id}" means the board's own LEDs (led:ACT): give the part another id`)
    const before = this.#ids.take(id, place)
    if (before !== undefined) say(`the id "${id}" is already used by ${before}`)
  }

  #interval(part: PartConfig, driver: Driver, say: (line: string) => void): number {
    if (driver.role !== 'sensor') {
      if (part.sampleEveryMs !== undefined) say('only sensors have sampleEveryMs')
      return 0
    }
    const { min, default: usual } = driver.sampleEveryMs
    const wanted = part.sampleEveryMs ?? usual
    if (!(wanted >= min && wanted <= sampleEveryMsMax))
      say(`sampleEveryMs must be ${min} to ${sampleEveryMsMax}, not ${wanted}`)
    return wanted
  }

  #at(part: PartConfig, driver: Driver, place: string, say: (line: string) => void): At {
    const { connection } = driver
    const bus = this.#bus(part, connection)
    const address = this.#address(part, connection, bus?.id, place, say)
    const pins = this.#pins(part, pinRulesOf(connection), place, say)
    return {
      pins,
      ...(bus === undefined ? {} : { bus: bus.id }),
      ...(bus === undefined || part.module === undefined ? {} : { busPins: bus.pins }),
      ...(address === undefined ? {} : { address }),
    }
  }

  /** The board's bus that the part means, where the configuration leaves no doubt. */
  #bus(part: PartConfig, connection: Connection): BoardBus | undefined {
    if (!hasBus(connection, part)) return undefined
    const kind = kindOf(connection, part)
    const ofKind = this.#board.buses.filter((bus) => kind === undefined || bus.kind === kind)
    if (part.bus !== undefined)
      return ofKind.find((bus) => bus.id === part.bus) ?? undescribedBus(this.#board, part.bus, kind)
    return ofKind.length === 1 ? ofKind[0] : undefined
  }

  #takeBus(part: PartConfig, place: string): void {
    const driver = this.#driver(part.driver)
    if (!driver) return
    const say = (line: string) => this.problems.push(`${place}: ${line}`)
    const { connection } = driver
    if (!hasBus(connection, part)) {
      if (part.bus !== undefined) say(`${driver.id} hangs on pins, not on a bus`)
      return
    }
    const bus = this.#bus(part, connection)
    if (!bus) {
      say(noBus(this.#board, part, connection))
      return
    }
    if (bus.kind === 'spi' || bus.kind === 'serial') {
      const before = this.#lines.take(`bus ${bus.id}`, place)
      if (before !== undefined) {
        say(`${bus.id} is already used by ${before}`)
        return
      }
    }
    if (this.#busUsers.has(bus.id)) return
    this.#busUsers.set(bus.id, place)
    for (const pin of bus.pins) {
      const before = this.#lines.take(`pin ${pin}`, busHolder(bus, place))
      if (before !== undefined && !(bus.kind === 'spi' && before.startsWith(spiHolder)))
        say(`${bus.id} needs pin ${pin}, which is already used by ${before}`)
    }
  }

  #address(
    part: PartConfig,
    connection: Connection,
    bus: string | undefined,
    place: string,
    say: (line: string) => void,
  ): At['address'] {
    const { address } = part
    const refuse = (line: string) => {
      say(line)
      return undefined
    }
    if (connection.bus !== 'i2c' && connection.bus !== 'one-wire') {
      if (part.module === undefined || address === undefined)
        return address === undefined ? undefined : refuse(`${part.driver} has no address`)
      if (typeof address !== 'number' || address < 0x08 || address > 0x77)
        return refuse(`address ${address} is no I2C address (0x08 to 0x77)`)
      return this.#takeAddress(address, bus, place, say)
    }
    if (connection.bus === 'one-wire') {
      const families = connection.families.map((family) => hex(family).slice(2))
      if (typeof address !== 'string' || !new RegExp(`^(${families.join('|')})-[0-9a-f]{12}$`).test(address))
        return refuse(`needs its address on the bus, as the kernel prints it: ${families[0]}-0000075a1b2c`)
      return this.#takeAddress(address, bus, place, say)
    }
    const { addresses } = connection
    const wanted = address ?? (addresses.length === 1 ? addresses[0] : undefined)
    const listed = addresses.map(hex).join(', ')
    if (wanted === undefined) return refuse(`needs its address: one of ${listed}`)
    if (typeof wanted !== 'number' || !addresses.includes(wanted))
      return refuse(`${part.driver} has the addresses ${listed}, not ${shown(wanted)}`)
    return this.#takeAddress(wanted, bus, place, say)
  }

  #takeAddress(
    address: number | string,
    bus: string | undefined,
    place: string,
    say: (line: string) => void,
  ): number | string {
    if (bus !== undefined) {
      const before = this.#lines.take(`${bus} at ${address}`, place)
      if (before !== undefined) say(`address ${shown(address)} on ${bus} is already used by ${before}`)
    }
    return address
  }

  #pins(
    part: PartConfig,
    rules: PinRules,
    place: string,
    say: (line: string) => void,
  ): Record<string, PinRef> {
    const given = givenPins(part, rules, say)
    for (const name of Object.keys(given))
      if (!Object.hasOwn(rules, name)) say(`there is no pin called "${name}"; ${pinNames(rules)}`)
    const pins: Record<string, PinRef> = {}
    for (const [name, rule] of Object.entries(rules)) {
      const pin = given[name]
      if (pin === undefined) {
        if (!rule.optional) say(`the pin ${name} is missing: ${rule.help}`)
        continue
      }
      this.#takeLine(pin, rule.use, place, say)
      pins[name] = pin
    }
    return pins
  }

  #takeLine(pin: PinRef, use: Use, place: string, say: (line: string) => void): void {
    const found = this.#findLine(pin, use)
    if ('problem' in found) {
      say(found.problem)
      return
    }
    const before = this.#lines.take(found.line.key, place)
    if (before !== undefined) say(`${found.line.label} is already used by ${before}`)
  }

  #findLine(pin: PinRef, use: Use): Found {
    const provider = providerOf(pin)
    if (provider === undefined) return boardLine(this.#board, pin, use)
    const part = this.#config.parts.find(({ id }) => id === provider)
    const driver = part && this.#driver(part.driver)
    if (!driver) return { problem: `pin ${pin}: no part is called "${provider}"` }
    if (driver.role !== 'provider') return { problem: `pin ${pin}: ${provider} gives no pins to others` }
    return providerLine(provider, String(pin).slice(provider.length + 1), driver, use)
  }

  #safetyLines(): void {
    const { inputs = [], emergencyStop, conflictMonitor, watchdog } = this.#config.safety ?? {}
    const names = new Taken()
    for (const [index, input] of inputs.entries()) {
      const place = `hardware.safety.inputs[${index}] (${input.name})`
      const say = (line: string) => this.problems.push(`${place}: ${line}`)
      this.#takeLine(input.pin, 'input', place, say)
      const before = names.take(input.name, place)
      if (before !== undefined) say(`the name "${input.name}" is already used by ${before}`)
    }
    for (const [name, line] of Object.entries({ emergencyStop, conflictMonitor })) {
      const place = `hardware.safety.${name}`
      if (line)
        this.#takeLine(line.pin, 'input', place, (problem) => this.problems.push(`${place}: ${problem}`))
    }
    if (watchdog !== undefined && !isAbsolute(watchdog))
      this.problems.push(`hardware.safety.watchdog: "${watchdog}" is no absolute path, such as /dev/watchdog`)
  }

  /** A provider whose pins hang, through others, on itself can never be opened. */
  #circles(parts: readonly AttachedPart[]): void {
    const byId = new Map(parts.map((part) => [part.id, part]))
    const done = new Set<string>()
    const walk = (part: AttachedPart, path: readonly string[]): void => {
      if (path.includes(part.id)) {
        this.problems.push(`${part.place}: its pins hang on itself: ${[...path, part.id].join(' → ')}`)
        return
      }
      if (done.has(part.id)) return
      for (const pin of Object.values(part.at.pins)) {
        const above = byId.get(providerOf(pin) ?? '')
        if (above) walk(above, [...path, part.id])
      }
      done.add(part.id)
    }
    for (const part of parts) walk(part, [])
  }
}

function placeOf(part: PartConfig, index: number): string {
  return `hardware.parts[${index}] (${part.id})`
}

const spiHolder = 'SPI bus '
function busHolder(bus: BoardBus, place: string): string {
  return `${bus.kind === 'spi' ? spiHolder : 'bus '}${bus.id} of ${place}`
}

function pinRulesOf(connection: Connection): PinRules {
  return 'pins' in connection ? (connection.pins ?? {}) : {}
}

/** A module says by its configuration whether it hangs on a bus. */
function hasBus(connection: Connection, part: PartConfig): boolean {
  return connection.bus !== 'pins' || (part.module !== undefined && part.bus !== undefined)
}

/**
 * Names that the kernel gives: a serial port by its device node on any board, since most are on USB; other buses (a USB
 * adapter's) where nobody described the board's. Whether it is there is seen when it is opened.
 */
const kernelNames = {
  i2c: { pattern: /^i2c-\d+$/, example: 'i2c-1' },
  spi: { pattern: /^spi-\d+\.\d+$/, example: 'spi-0.0' },
  'one-wire': { pattern: /^w1-\d+$/, example: 'w1-0' },
  serial: { pattern: /^\/dev\/(?!.*\.\.)[\w./:-]+$/, example: '/dev/ttyUSB0' },
} as const
type KernelNamed = keyof typeof kernelNames

function undescribedBus(board: Board, id: string, kind: BoardBus['kind'] | undefined): BoardBus | undefined {
  const named = (Object.keys(kernelNames) as KernelNamed[]).find((name) => kernelNames[name].pattern.test(id))
  if (named === undefined || (kind !== undefined && kind !== named)) return undefined
  return named === 'serial' || board.buses.length === 0 ? { id, kind: named, pins: [] } : undefined
}

function kindOf(connection: Connection, part: PartConfig): BoardBus['kind'] | undefined {
  return connection.bus === 'pins' || part.module !== undefined ? undefined : connection.bus
}

function noBus(board: Board, part: PartConfig, connection: Connection): string {
  const kind = kindOf(connection, part)
  const ids = board.buses.flatMap((bus) => (kind === undefined || bus.kind === kind ? [bus.id] : []))
  const has = `${board.name} has ${ids.length === 0 ? `no ${kind ?? ''} bus on a header`.replace('  ', ' ') : ids.join(', ')}`
  if (board.buses.length === 0 && kind !== 'can') {
    const wrong = part.bus === undefined ? 'needs its bus' : `"${part.bus}" is no ${kind ?? ''} bus`
    const { example } = kernelNames[kind ?? 'i2c']
    return `${wrong.replace('  ', ' ')}: ${board.name} has no known header; name the bus as the kernel does: ${example}`
  }
  if (part.bus === undefined && ids.length > 0) return `needs its bus; ${has}`
  return part.bus === undefined ? has : `there is no ${kind ?? ''} bus "${part.bus}"; ${has}`
}

function givenPins(
  part: PartConfig,
  rules: PinRules,
  say: (line: string) => void,
): Readonly<Record<string, PinRef>> {
  if (part.pin === undefined) return part.pins ?? {}
  const names = Object.keys(rules)
  const needed = names.filter((name) => !rules[name]?.optional)
  const only = needed.length === 1 ? needed[0] : names.length === 1 ? names[0] : undefined
  if (only !== undefined) return { [only]: part.pin, ...part.pins }
  say(
    names.length === 0 ? `${part.driver} has no pins` : `"pin" is for parts with one pin; ${pinNames(rules)}`,
  )
  return part.pins ?? {}
}

function pinNames(rules: PinRules): string {
  const names = Object.keys(rules)
  return names.length === 0 ? 'this driver has none' : `"pins" names ${names.join(', ')}`
}

/** What a module can be told is known to the module alone: its other options are passed on as they are. */
function checkedOptions(driver: Driver, part: PartConfig, say: (line: string) => void): Options {
  const given = Object.entries(part.options ?? {})
  const isOwn = ([name]: [string, unknown]) =>
    driver.id !== moduleDriverId || Object.hasOwn(driver.options, name)
  const checked = checkOptions(driver.options, Object.fromEntries(given.filter(isOwn)))
  if (!checked.ok) {
    for (const line of checked.mistakes) say(`options.${line}`)
    return {}
  }
  return { ...checked.options, ...Object.fromEntries(given.filter((option) => !isOwn(option))) }
}

function checkModule(part: PartConfig, say: (line: string) => void): string | undefined {
  if (part.driver !== moduleDriverId) {
    if (part.module !== undefined) say(`"module" goes with the driver "${moduleDriverId}"`)
    return undefined
  }
  if (part.module === undefined) say('needs "module": the path of an ECMA-419 sensor module')
  else if (!isAbsolute(part.module)) say(`module "${part.module}" is no absolute path`)
  if (part.bus?.startsWith('i2c') && part.address === undefined)
    say('needs the address of its part: a module reaches no other')
  if (typeof part.pin === 'string' && providerOf(part.pin) !== undefined)
    say(`a module cannot use ${part.pin}: it has pins of the board only`)
  return part.module
}

const hex = (value: number) => `0x${value.toString(16).padStart(2, '0')}`
const shown = (address: number | string) => (typeof address === 'number' ? hex(address) : `"${address}"`)

/** `porch_light` → `Porch light`. */
function sentence(id: string): string {
  const words = id.replaceAll('_', ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}
