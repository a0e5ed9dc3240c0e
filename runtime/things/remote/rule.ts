/**
 * Which of this device's things agents of other devices may command at all, whatever their own people granted them.
 *
 * Whoever grants an agent sits at its device, not at this one. What makes a room lighter, warmer or louder may be commanded from the
 * whole site. What opens a way into the house, lets water or gas through, or moves with force (locks, valves, doors and gates, and the
 * numbers and choices of which a robot's arm is one) may be commanded only by devices that this device's own configuration names.
 */
import type { ComponentInfo, ComponentKind } from '../../../hal/contract/component.ts'
import { matcherOf } from '../pattern.ts'

export interface RemoteRuleOptions {
  readonly remoteCommands: 'same-site' | 'none'
  readonly remoteAllow: readonly { readonly things: string; readonly from: readonly string[] }[]
}

const harmless: ReadonlySet<ComponentKind> = new Set([
  'light',
  'switch',
  'fan',
  'climate',
  'media_player',
  'vacuum',
  'todo',
])
/** Covers that close nothing off, by Home Assistant's device class. */
const coversOnly: ReadonlySet<string> = new Set(['awning', 'blind', 'curtain', 'shade'])

/** Why agents of device `from` may not command it; undefined where they may. */
export function remoteRefusal(
  { remoteCommands, remoteAllow }: RemoteRuleOptions,
  from: string,
  { id, kind, deviceClass = '' }: ComponentInfo,
): string | undefined {
  if (remoteCommands === 'none')
    return 'agents of other devices command nothing here (device.agents.remoteCommands in its configuration)'
  if (harmless.has(kind) || (kind === 'cover' && coversOnly.has(deviceClass))) return undefined
  if (remoteAllow.some(({ things, from: devices }) => devices.includes(from) && matcherOf(things)(id)))
    return undefined
  return `${id} is commanded from ${from} only where its own device allows that (device.agents.remoteAllow in its configuration)`
}
