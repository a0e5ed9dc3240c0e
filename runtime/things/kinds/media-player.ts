/** Media players. Skipping a track shows in no telemetry that every player has, so those commands declare no checks. */
import * as v from 'valibot'
import type { Telemetry } from '../../../hal/contract/component.ts'
import { type Check, commandSchema, effect, type KindRules, near, shortText } from './kind.ts'

/** `on` is whatever a player does when it is on. */
const settled: Readonly<Record<string, readonly string[]>> = {
  on: ['on', 'idle', 'playing', 'paused', 'standby'],
  off: ['off', 'standby'],
  playing: ['playing', 'buffering'],
  paused: ['paused'],
  idle: ['idle', 'on'],
}

export const mediaPlayer: KindRules = {
  kind: 'media_player',
  schema: commandSchema({
    state: v.optional(
      v.picklist(['on', 'off', 'playing', 'paused', 'idle'], 'must be on, off, playing, paused or idle'),
    ),
    volume_level: v.optional(
      v.pipe(v.number('must be a number'), v.minValue(0, 'must be 0 to 1'), v.maxValue(1, 'must be 0 to 1')),
    ),
    muted: v.optional(v.boolean('must be true or false')),
    source: v.optional(shortText),
    action: v.optional(v.picklist(['next', 'previous', 'stop'], 'must be next, previous or stop')),
  }),
  effect(command, _info, before) {
    const checks: Check[] = []
    const { state, volume_level: volume, muted, source, action } = command
    if (typeof state === 'string') checks.push({ path: 'state', oneOf: settled[state] ?? [state] })
    if (action === 'stop') checks.push({ path: 'state', noneOf: ['playing', 'buffering'] })
    if (typeof volume === 'number') checks.push(volumeCheck(volume, before))
    if (typeof muted === 'boolean') checks.push({ path: 'is_volume_muted', value: muted })
    if (typeof source === 'string') checks.push({ path: 'source', value: source })
    const repeats = action === 'next' || action === 'previous'
    return effect(checks, 3_000, { retrySafe: !repeats, additive: repeats })
  },
}

/** Some players report 0 to 100 where most report 0 to 1. */
function volumeCheck(volume: number, before: Telemetry): Check {
  const level = before.attributes['volume_level']
  const percent = typeof level === 'number' && level > 1
  return near('volume_level', percent ? volume * 100 : volume, percent ? 2 : 0.02, before)
}
