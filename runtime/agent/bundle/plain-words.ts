/** What a grant lets an agent do, in the words of somebody who has never seen a capability: `turn all lights on and off`. */
import type { Capability } from '../permissions/capability.ts'
import { describeCapability, devicesInWords } from '../permissions/capability.ts'
import type { Grant } from '../permissions/grant.ts'
import { describeLimits } from '../permissions/limits.ts'

/** Follows "wants to". */
export function plainWords({ capability, limits }: Grant): string {
  const words = describeLimits(limits)
  return words === '' ? wordsOf(capability) : `${wordsOf(capability)} (${words})`
}

function wordsOf(capability: Capability): string {
  const { kind, pattern } = capability
  if (kind === 'read') return `see ${thingsOf(pattern)} and what changes there`
  if (kind !== 'command') return describeCapability(capability)
  const domain = pattern.split('.')[0] ?? ''
  const words = Object.hasOwn(commands, domain) ? commands[domain] : undefined
  return (words ?? ((them: string) => `command ${them}`))(thingsOf(pattern))
}

/** By domain of an entity, as Home Assistant has them. */
const commands: Readonly<Record<string, (them: string) => string>> = {
  light: (them) => `turn ${them} on and off, and set how bright and which colour`,
  switch: (them) => `turn ${them} on and off`,
  fan: (them) => `turn ${them} on and off, and set how fast`,
  lock: (them) => `lock and unlock ${them}`,
  cover: (them) => `open and close ${them}`,
  valve: (them) => `open and close ${them}`,
  climate: (them) => `set heating and cooling of ${them}`,
  water_heater: (them) => `set the temperature of ${them}`,
  media_player: (them) => `play and pause ${them}, and set how loud`,
  vacuum: (them) => `start and stop ${them}`,
  siren: (them) => `sound and silence ${them}`,
  alarm_control_panel: (them) => `arm and disarm ${them}`,
  button: (them) => `press ${them}`,
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
