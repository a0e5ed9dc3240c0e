/** `ganglion drivers`: which parts can be attached, what each needs, and lines to paste into the configuration. */
import type { Driver, OptionRule, PinRule } from '../../../hal/contract/driver.ts'
import { UsageError } from '../../base/errors.ts'
import { nearestNames } from '../../understanding/spelling.ts'
import type { Context } from '../context.ts'
import { exitCodes } from '../exit.ts'

export async function drivers(id: string | undefined, context: Context): Promise<number> {
  const { terminal } = context
  const all = await (await context.hal()).drivers()
  if (id === undefined) {
    if (terminal.json) terminal.out(JSON.stringify({ drivers: all.map(describe) }))
    else for (const line of listLines(all)) terminal.out(line)
    return exitCodes.done
  }
  const driver = all.find((candidate) => candidate.id === id.toLowerCase())
  if (!driver) throw new UsageError(unknown(id, all))
  if (terminal.json) terminal.out(JSON.stringify({ ...describe(driver), snippet: snippet(driver) }))
  else for (const line of detailLines(driver)) terminal.out(line)
  return exitCodes.done
}

function unknown(id: string, all: readonly Driver[]): string {
  const near = nearestNames(
    id,
    all.map((known) => known.id),
    3,
  )
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}? ` : ''
  return `there is no driver "${id}"; ${hint}"ganglion drivers" lists those there are`
}

function listLines(all: readonly Driver[]): string[] {
  const width = Math.max(...all.map(({ id }) => id.length))
  const groups = Map.groupBy(all, ({ role }) => role)
  return [...groups].flatMap(([role, members]) => [
    `${titles[role]}:`,
    ...members.map(({ id, name }) => `  ${id.padEnd(width)}  ${name}`),
  ])
}

const titles = { sensor: 'Sensors', actuator: 'Actuators', provider: 'Providers of pins' } as const

/** What can be said of a driver as plain data. */
function describe(driver: Driver) {
  const { id, role, name, manufacturer, model, datasheet, connection, options } = driver
  const usual = defaults(driver)
  return {
    id,
    role,
    name,
    manufacturer,
    model,
    datasheet,
    connection,
    options,
    ...(driver.role === 'sensor'
      ? { channels: driver.channels(usual), sampleEveryMs: driver.sampleEveryMs }
      : {}),
    ...(driver.role === 'actuator'
      ? { kind: driver.kind(usual), outputs: driver.outputs(usual), safetyClass: driver.safetyClass }
      : {}),
    ...(driver.role === 'provider' ? { provides: driver.provides } : {}),
  }
}

function defaults({ options }: Driver) {
  return Object.fromEntries(Object.entries(options).map(([name, rule]) => [name, rule.default]))
}

function detailLines(driver: Driver): string[] {
  const { id, name, datasheet } = driver
  return [
    `${id}: ${name}`,
    `Source: ${datasheet}`,
    ...gives(driver),
    ...pinLines(pinsOf(driver)),
    ...optionLines(driver),
    ...armingLines(driver),
    '',
    'To attach one, put this into the configuration:',
    '',
    ...snippet(driver).split('\n'),
  ]
}

function gives(driver: Driver): string[] {
  const usual = defaults(driver)
  if (driver.role === 'sensor') {
    const { min, default: pace } = driver.sampleEveryMs
    return [
      `Measures: ${driver.channels(usual).join(', ') || 'what its module does'}`,
      `Sampled every ${pace} ms unless sampleEveryMs says otherwise, at most every ${min} ms.`,
    ]
  }
  if (driver.role === 'provider')
    return driver.provides.map(({ use, pins }) => `Gives: ${pins} ${use} pins, as <id>:0 to <id>:${pins - 1}`)
  const outputs = driver.outputs(usual).map(({ name, safe, min, max, unit = '' }) => {
    return `  ${name}: ${min} to ${max}${unit && ` ${unit}`}, safe at ${safe}`
  })
  return [`Is a ${driver.kind(usual)}. Its outputs, for rules:`, ...outputs]
}

function pinsOf({ connection }: Driver): readonly [string, PinRule][] {
  return 'pins' in connection ? Object.entries(connection.pins ?? {}) : []
}

function pinLines(pins: readonly [string, PinRule][]): string[] {
  if (pins.length === 0) return []
  return [
    'Pins:',
    ...pins.map(
      ([name, { use, help, optional }]) => `  ${name} (${use}${optional ? ', optional' : ''}): ${help}`,
    ),
  ]
}

function optionLines({ options }: Driver): string[] {
  const rules = Object.entries(options)
  if (rules.length === 0) return []
  return [
    'Options:',
    ...rules.map(
      ([name, rule]) => `  ${name} (${allowed(rule)}; ${JSON.stringify(rule.default)}): ${rule.help}`,
    ),
  ]
}

/** What has to be there, and done, before it moves. */
function armingLines(driver: Driver): string[] {
  const safetyClass = driver.role === 'actuator' ? driver.safetyClass : undefined
  if (safetyClass === undefined) return []
  const monitor =
    safetyClass === 'traffic-signal'
      ? ['  it needs an external conflict monitor, whose contact is closed while it is content']
      : []
  const what = safetyClass === 'traffic-signal' ? 'a traffic signal' : 'a machine'
  return [
    'Safety:',
    `  ${what} moves only after a person at the device armed it: "ganglion safety token"`,
    '  once, then "ganglion safety arm" after each start; the other parts wait with it',
    ...monitor,
  ]
}

function allowed(rule: OptionRule): string {
  if (rule.type === 'number') return `${rule.min} to ${rule.max}${rule.unit ? ` ${rule.unit}` : ''}`
  if (rule.type === 'choice') return rule.choices.join(' or ')
  return rule.type === 'boolean' ? 'true or false' : 'text'
}

const hex = (value: number) => `0x${value.toString(16).padStart(2, '0')}`

/** Buses as they are called on a Raspberry Pi. */
const usualBus = { i2c: 'i2c-1', spi: 'spi-0.0', serial: 'uart-0', 'one-wire': 'w1-0' } as const

/** YAML that attaches one; pins are examples. */
function snippet(driver: Driver): string {
  const { id, connection } = driver
  const lines = [`- driver: ${id}`, `  id: my_${id.replace(/[^a-z0-9]/g, '_')}`]
  if (connection.bus !== 'pins') lines.push(`  bus: ${usualBus[connection.bus]}`)
  if (connection.bus === 'i2c') {
    const [first = 0, ...others] = connection.addresses
    lines.push(`  address: ${hex(first)}${others.length > 0 ? `  # or ${others.map(hex).join(', ')}` : ''}`)
  }
  if (connection.bus === 'one-wire')
    lines.push(
      `  address: ${(connection.families[0] ?? 0).toString(16)}-0000075a1b2c  # see /sys/bus/w1/devices`,
    )
  lines.push(...pinSnippet(driver))
  if (driver.id === 'ecma-419') lines.push('  module: ./my-sensor.js', '  bus: i2c-1', '  address: 0x48')
  const safety =
    driver.role === 'actuator' && driver.safetyClass === 'traffic-signal'
      ? ['    safety:', '      conflictMonitor: { pin: 16 }']
      : []
  return ['device:', '  hardware:', '    parts:', ...lines.map((line) => `      ${line}`), ...safety].join(
    '\n',
  )
}

function pinSnippet(driver: Driver): string[] {
  const pins = pinsOf(driver).filter(([, { optional }]) => !optional)
  const [first] = pins
  const free = { input: [11, 13, 15, 16, 18], output: [11, 13, 15, 16, 18], pwm: [12, 32, 33, 35] }
  if (!first) return []
  if (pins.length === 1) return [`  pin: ${free[first[1].use][0]}`]
  const taken = new Set<number>()
  const names = pins.map(([name, { use }]) => {
    const pin = free[use].find((candidate) => !taken.has(candidate)) ?? 0
    taken.add(pin)
    return `${name}: ${pin}`
  })
  return [`  pins: { ${names.join(', ')} }`]
}
