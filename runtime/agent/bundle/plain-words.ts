/** What a grant lets an agent do, in the words of somebody who has never seen a capability: `turn all lights on and off`. */
import { isDeepStrictEqual } from 'node:util'
import type { Json, Limits } from '../contract.ts'
import type { Capability } from '../permissions/capability.ts'
import { describeCapability, devicesInWords } from '../permissions/capability.ts'
import type { Grant } from '../permissions/grant.ts'
import { describeLimits } from '../permissions/limits.ts'

/** Follows "wants to". */
export function plainWords({ capability, limits }: Grant): string {
  const only = onlyVerbs(capability, limits)
  const { values, ...rest } = limits
  const words = describeLimits(only === undefined ? limits : rest)
  const what = only ?? wordsOf(capability)
  return words === '' ? what : `${what} (${words})`
}

function wordsOf(capability: Capability): string {
  const { kind, pattern } = capability
  if (kind === 'read') return `see ${thingsOf(pattern)} and what changes there`
  if (kind !== 'command') return describeCapability(capability)
  const them = thingsOf(pattern)
  return verbsFor(pattern)?.whole(them) ?? `command ${them}`
}

/**
 * `lock all locks`, where all that a command may say is that. Undefined where it may say anything besides: what says `closed` or a
 * position opens too.
 */
function onlyVerbs({ kind, pattern }: Capability, { values, others }: Limits): string | undefined {
  const verbs = kind === 'command' && values && !others ? verbsFor(pattern) : undefined
  if (!verbs || Object.keys(values ?? {}).length === 0) return undefined
  const { by = 'state', nought, each, said = (one, them) => `${one} ${them}` } = verbs
  const granted = new Set<Json>()
  for (const [field, limit] of Object.entries(values ?? {})) {
    const isNought = field === nought?.field && isDeepStrictEqual(limit, [0])
    if (isNought) granted.add(nought.state)
    else if (field === by && Array.isArray(limit)) for (const state of limit) granted.add(state)
    else return undefined
  }
  const known = Object.entries(each).filter(([state]) => granted.has(state))
  if (known.length < granted.size) return undefined
  return said(known.map(([, verb]) => verb).join(' and '), thingsOf(pattern))
}

interface Verbs {
  readonly whole: (them: string) => string
  /** The field that says which; default: `state`. */
  readonly by?: string
  /** What each of its values does. */
  readonly each: Readonly<Record<string, string>>
  readonly said?: (verbs: string, them: string) => string
  /** A field whose 0 is one of these states. */
  readonly nought?: { readonly field: string; readonly state: string }
}

const turn = (verbs: string, them: string) => `turn ${them} ${verbs}`
const onOff = { each: { on: 'on', off: 'off' }, said: turn }
const opening: Verbs = {
  whole: (them) => `open and close ${them}`,
  each: { open: 'open', closed: 'close' },
  nought: { field: 'position', state: 'closed' },
}

/** By domain of an entity, as Home Assistant has them. */
const commands: Readonly<Record<string, Verbs>> = {
  light: {
    whole: (them) => `turn ${them} on and off, and set how bright and which colour`,
    ...onOff,
    nought: { field: 'brightness', state: 'off' },
  },
  switch: { whole: (them) => `turn ${them} on and off`, ...onOff },
  fan: {
    whole: (them) => `turn ${them} on and off, and set how fast`,
    ...onOff,
    nought: { field: 'percentage', state: 'off' },
  },
  lock: {
    whole: (them) => `lock and unlock ${them}`,
    each: { locked: 'lock', unlocked: 'unlock' },
  },
  cover: opening,
  valve: opening,
  climate: { whole: (them) => `set heating and cooling of ${them}`, ...onOff },
  water_heater: { whole: (them) => `set the temperature of ${them}`, ...onOff },
  media_player: {
    whole: (them) => `play and pause ${them}, and set how loud`,
    each: { playing: 'play', paused: 'pause', on: 'turn on', off: 'turn off' },
  },
  vacuum: {
    whole: (them) => `start and stop ${them}`,
    by: 'action',
    each: { start: 'start', pause: 'pause', stop: 'stop', return_to_base: 'send home', locate: 'find' },
  },
  siren: { whole: (them) => `sound and silence ${them}`, each: { on: 'sound', off: 'silence' } },
  alarm_control_panel: { whole: (them) => `arm and disarm ${them}`, each: { disarmed: 'disarm' } },
  button: { whole: (them) => `press ${them}`, each: {} },
}

function verbsFor(pattern: string): Verbs | undefined {
  const domain = pattern.split('.')[0] ?? ''
  return Object.hasOwn(commands, domain) ? commands[domain] : undefined
}

const names: Readonly<Record<string, string>> = {
  light: 'lights',
  switch: 'switches',
  fan: 'fans',
  lock: 'locks',
  cover: 'covers',
  valve: 'valves',
  climate: 'thermostats',
  water_heater: 'water heaters',
  media_player: 'media players',
  vacuum: 'vacuum cleaners',
  siren: 'sirens',
  alarm_control_panel: 'alarms',
  button: 'buttons',
  sensor: 'sensors',
  binary_sensor: 'sensors that say yes or no',
  camera: 'cameras',
  person: 'people',
}

/** `all lights`, `light.hall`, `everything in the home`, `all lights of the device attic`; a pattern stays one. */
function thingsOf(pattern: string): string {
  const [things = '', device] = pattern.split('@')
  if (device !== undefined) return `${thingsOf(things)} ${devicesInWords(device)}`
  const [domain = '', ...rest] = pattern.split('.')
  if (rest.join('.') !== '*') return pattern.includes('*') ? `everything called ${pattern}` : pattern
  if (domain === '*') return 'everything in the home'
  return Object.hasOwn(names, domain) ? `all ${names[domain]}` : `everything called ${pattern}`
}
