/**
 * Players: on and off, playing, pausing, skipping, volume. Where nothing is named, those that play now are meant.
 * `Stop the music` pauses a player that can: it falls silent all the same, and `play` goes on where it was.
 */
import type { Entity } from '../../things/entity.ts'
import type { Slots } from '../slots.ts'
import { type Act, can, inPercent, numberOf, outsidePercent, percentOf, type Rule } from './rule.ts'

/** Step of `louder` and `quieter`, percent: Home Assistant's. */
const stepPercent = 10
/** Assumed where a player reports no volume, so that one step from it is never a shock. */
const unknownPercent = 50

function plays(entity: Entity): boolean {
  return entity.telemetry.state === 'playing'
}

function rests(entity: Entity): boolean {
  return ['paused', 'idle'].includes(entity.telemetry.state)
}

function volumePercent(entity: Entity): number {
  const level = numberOf(entity, 'volume_level')
  if (level === undefined) return unknownPercent
  // Some homes report 0 to 100 instead of 0 to 1.
  return level > 1 ? level : level * 100
}

function relative({ direction, amount, level }: Slots): boolean {
  return direction !== undefined && level === undefined && (amount === undefined || amount.relative)
}

function volume(entity: Entity, slots: Slots): Act {
  const { name } = entity.info
  let percent = percentOf(slots) ?? 0
  if (relative(slots)) {
    const size = slots.amount?.value ?? stepPercent
    percent = volumePercent(entity) + (slots.direction === 'down' ? -size : size)
    percent = Math.min(100, Math.max(0, percent))
  }
  const outside = outsidePercent(`The volume of ${name}`, percent)
  if (outside) return outside
  if (!can(entity, 'volume_set', 'volume_step')) return { impossible: `${name} has no volume to set` }
  return {
    command: { volume_level: Math.round(percent) / 100 },
    effect: `at volume ${Math.round(percent)} %`,
  }
}

function needs(features: readonly string[], what: string, act: Act): (entity: Entity) => Act {
  return (entity) => (can(entity, ...features) ? act : { impossible: `${entity.info.name} cannot ${what}` })
}

const isVolume = ({ attribute }: Slots) => attribute === 'volume'

export const mediaPlayerRules: readonly Rule[] = [
  {
    intent: 'media_player.turn_on',
    kind: 'media_player',
    uses: ['state'],
    when: ({ state }) => state === 'on',
    act: needs(['turn_on'], 'be turned on', { command: { state: 'on' }, effect: 'on' }),
  },
  {
    intent: 'media_player.turn_off',
    kind: 'media_player',
    uses: ['state'],
    when: ({ state }) => state === 'off',
    act: needs(['turn_off'], 'be turned off', { command: { state: 'off' }, effect: 'off' }),
  },
  {
    intent: 'media_player.play',
    kind: 'media_player',
    uses: ['verb'],
    implied: 'nothing',
    when: ({ verb }) => verb === 'play' || verb === 'start',
    prefers: rests,
    act: needs(['play'], 'play', { command: { state: 'playing' }, effect: 'playing' }),
  },
  {
    intent: 'media_player.resume',
    kind: 'media_player',
    uses: ['verb'],
    implied: 'nothing',
    when: ({ verb }) => verb === 'resume',
    prefers: rests,
    // What can be paused can go on, whether or not it can be told to play something.
    act: needs(['play', 'pause'], 'go on playing', { command: { state: 'playing' }, effect: 'playing' }),
  },
  {
    intent: 'media_player.pause',
    kind: 'media_player',
    uses: ['verb'],
    implied: 'nothing',
    when: ({ verb }) => verb === 'pause',
    prefers: plays,
    act: needs(['pause'], 'pause', { command: { state: 'paused' }, effect: 'paused' }),
  },
  {
    intent: 'media_player.stop',
    kind: 'media_player',
    uses: ['verb'],
    when: ({ verb }) => verb === 'stop',
    prefers: plays,
    act: (entity) =>
      can(entity, 'pause')
        ? { command: { state: 'paused' }, effect: 'paused' }
        : needs(['stop'], 'stop', { command: { action: 'stop' }, effect: 'stopped' })(entity),
  },
  {
    intent: 'media_player.next',
    kind: 'media_player',
    uses: ['verb'],
    implied: 'nothing',
    when: ({ verb }) => verb === 'next',
    prefers: plays,
    act: needs(['next_track'], 'skip', { command: { action: 'next' }, effect: 'on the next track' }),
  },
  {
    intent: 'media_player.previous',
    kind: 'media_player',
    uses: ['verb'],
    implied: 'nothing',
    when: ({ verb }) => verb === 'previous',
    prefers: plays,
    act: needs(['previous_track'], 'go back', {
      command: { action: 'previous' },
      effect: 'on the previous track',
    }),
  },
  {
    intent: 'media_player.mute',
    kind: 'media_player',
    uses: ['verb', 'state', 'attribute'],
    implied: 'nothing',
    when: ({ verb, attribute, state }) =>
      state === undefined &&
      (attribute === undefined || attribute === 'volume') &&
      (verb === 'mute' || verb === 'unmute'),
    prefers: plays,
    act: (entity, { verb }) =>
      needs(['volume_mute'], 'be muted', {
        command: { muted: verb === 'mute' },
        effect: verb === 'mute' ? 'muted' : 'no longer muted',
      })(entity),
  },
  {
    intent: 'media_player.set_volume',
    kind: 'media_player',
    uses: ['attribute', 'amount', 'level', 'direction', 'state'],
    implied: 'nothing',
    when: (slots) =>
      isVolume(slots) &&
      inPercent(slots) &&
      slots.state === undefined &&
      (percentOf(slots) !== undefined || relative(slots)),
    prefers: plays,
    act: volume,
  },
  {
    intent: 'media_player.set_volume',
    kind: 'media_player',
    uses: ['amount', 'level', 'direction'],
    when: (slots) =>
      slots.attribute === undefined &&
      inPercent(slots) &&
      (percentOf(slots) !== undefined || relative(slots)),
    prefers: plays,
    act: volume,
  },
]
