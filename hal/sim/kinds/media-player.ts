/**
 * Players. Commands give the volume as a fraction, 0 to 1. Telemetry keeps the scale of the home file: a device whose file
 * gives a `volume_level` above 1 reports 0 to 100, every other 0 to 1.
 */

import { CommandFields } from '../../command-fields.ts'
import type { Json } from '../../contract/component.ts'
import { times } from '../times.ts'
import { after, type Change, type Device, declaredList, type Kind, offers, type Snapshot } from './kind.ts'

const wanted = ['on', 'off', 'playing', 'paused', 'idle'] as const
const fieldNames = ['state', 'volume_level', 'muted', 'source', 'action']
/** Features of which one is needed. A player that can pause can also go on playing. */
const stateFeatures: Readonly<Record<(typeof wanted)[number], readonly string[]>> = {
  on: ['turn_on'],
  off: ['turn_off'],
  playing: ['play', 'pause'],
  paused: ['pause'],
  idle: ['stop', 'pause'],
}
const actionFeatures = { next: 'next_track', previous: 'previous_track', stop: 'stop' } as const

export const mediaPlayer: Kind = {
  kind: 'media_player',
  states: ['on', 'off', 'playing', 'paused', 'idle', 'standby', 'buffering'],
  restState: 'off',
  booleanStates: ['off', 'on'],
  begin(device, command) {
    const fields = new CommandFields(device.info.id, command, fieldNames)
    const state = fields.oneOf('state', wanted)
    if (state)
      fields.needs('state', offers(device, ...stateFeatures[state]), `feature ${stateFeatures[state][0]}`)
    const action = fields.oneOf('action', ['next', 'previous', 'stop'])
    if (action)
      fields.needs('action', offers(device, actionFeatures[action]), `feature ${actionFeatures[action]}`)
    const attributes = readAttributes(fields, device)
    return after(
      times.mediaPlayerMs,
      (now) => ({
        state: nextState(now.state, state, action),
        attributes: { ...attributes, ...track(now, action) },
      }),
      { idempotent: action !== 'next' && action !== 'previous' },
    )
  },
}

function readAttributes(fields: CommandFields, device: Device): Record<string, Json> {
  fields.needs('volume_level', offers(device, 'volume_set'), 'volume')
  fields.needs('muted', offers(device, 'volume_mute'), 'mute')
  const sources = declaredList(device.now, 'source_list')
  fields.needs('source', sources !== undefined || offers(device, 'select_source'), 'sources')
  const attributes: Record<string, Json> = {}
  const scale = device.memory.get('volume scale') === '100' || above1(device.now) ? 100 : 1
  if (scale === 100) device.memory.set('volume scale', '100')
  const volume = fields.number('volume_level', 0, 1)
  if (volume !== undefined) attributes['volume_level'] = Math.round(volume * scale * 100) / 100
  const muted = fields.flag('muted')
  if (muted !== undefined) attributes['is_volume_muted'] = muted
  const source = sources ? fields.oneOf('source', sources) : fields.text('source')
  if (source !== undefined) attributes['source'] = source
  return attributes
}

function above1(now: Snapshot): boolean {
  const level = now.attributes['volume_level']
  return typeof level === 'number' && level > 1
}

function nextState(
  now: string,
  state: (typeof wanted)[number] | undefined,
  action: string | undefined,
): string {
  if (state === 'on') return now === 'off' || now === 'standby' || now === 'unknown' ? 'on' : now
  if (state) return state
  return action === 'stop' && now !== 'off' ? 'idle' : now
}

/** Skipping shows only on a player that reports its track. */
function track(now: Snapshot, action: string | undefined): NonNullable<Change['attributes']> {
  const current = now.attributes['media_track']
  if (typeof current !== 'number' || (action !== 'next' && action !== 'previous')) return {}
  return { media_track: Math.max(1, current + (action === 'next' ? 1 : -1)) }
}
