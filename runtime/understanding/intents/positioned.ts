/** Covers and valves: open, close, stop, and positions between (0 closed, 100 open). Watering is opening a sprinkler. */
import type { Entity } from '../../things/entity.ts'
import type { Slots } from '../slots.ts'
import {
  type Act,
  can,
  inPercent,
  numberOf,
  outsidePercent,
  percentOf,
  type Rule,
  turnsOff,
  turnsOn,
} from './rule.ts'

const stepPercent = 25

function relative({ direction, amount, level, verb, attribute, slight }: Slots): boolean {
  if (slight && amount === undefined && level === undefined)
    return direction !== undefined || verb !== undefined
  if (amount?.relative === true) return direction !== undefined || verb === 'open' || verb === 'close'
  return direction !== undefined && attribute === 'position' && amount === undefined
}

function end(entity: Entity, to: 'open' | 'closed'): Act {
  const feature = to === 'open' ? 'open' : 'close'
  if (!can(entity, feature, 'set_position'))
    return { impossible: `${entity.info.name} cannot be ${to === 'open' ? 'opened' : 'closed'}` }
  return { command: { state: to }, effect: to }
}

function position(entity: Entity, slots: Slots): Act {
  const { name } = entity.info
  let percent = percentOf(slots) ?? 0
  if (relative(slots)) {
    const down = slots.direction === 'down' || slots.verb === 'close'
    const now = numberOf(entity, 'current_position') ?? (entity.telemetry.state === 'open' ? 100 : 0)
    const size = slots.amount?.value ?? stepPercent
    percent = Math.min(100, Math.max(0, now + (down ? -size : size)))
  }
  const outside = outsidePercent(`The position of ${name}`, percent)
  if (outside) return outside
  if (!can(entity, 'set_position')) {
    if (percent === 0 || percent === 100) return end(entity, percent === 0 ? 'closed' : 'open')
    return { impossible: `${name} can only be open or closed, not at ${percent} %` }
  }
  return { command: { position: Math.round(percent) }, effect: `at ${Math.round(percent)} %` }
}

function setsPosition(slots: Slots): boolean {
  if (slots.state !== undefined || !inPercent(slots)) return false
  if (slots.attribute !== undefined && slots.attribute !== 'position') return false
  if (slots.verb !== undefined && slots.verb !== 'open' && slots.verb !== 'close') return false
  // `close to 30 %` is where it shall be as much as `open to 30 %` is.
  return percentOf(slots) !== undefined || relative(slots)
}

function rulesOf(kind: 'cover' | 'valve'): Rule[] {
  const isBare = ({ slight, amount, level, attribute }: Slots) =>
    !slight && amount === undefined && level === undefined && attribute === undefined
  const moves = (slots: Slots, direction: 'up' | 'down') =>
    kind === 'cover' && slots.verb === undefined && slots.state === undefined && slots.direction === direction
  const opens = (slots: Slots) => {
    if (!isBare(slots)) return false
    if (slots.verb === 'open') return slots.state === undefined && slots.direction !== 'down'
    if (kind === 'valve' && slots.direction === undefined)
      return turnsOn(slots) || (slots.verb === 'water' && slots.state === undefined)
    return moves(slots, 'up')
  }
  const closes = (slots: Slots) => {
    if (!isBare(slots)) return false
    if (slots.verb === 'close') return slots.state === undefined && slots.direction !== 'up'
    if (kind === 'valve' && slots.direction === undefined) return turnsOff(slots)
    return moves(slots, 'down')
  }
  return [
    {
      intent: `${kind}.open`,
      kind,
      uses: ['verb', 'state', 'direction'],
      when: opens,
      guards: isWayIn,
      act: (entity, { verb }) =>
        verb === 'water' && !waters(entity)
          ? { impossible: `${entity.info.name} does not water anything` }
          : end(entity, 'open'),
    },
    {
      intent: `${kind}.close`,
      kind,
      uses: ['verb', 'state', 'direction'],
      when: closes,
      act: (entity) => end(entity, 'closed'),
    },
    {
      intent: `${kind}.set_position`,
      kind,
      uses: ['verb', 'direction', 'attribute', 'amount', 'level'],
      when: setsPosition,
      guards: isWayIn,
      act: position,
    },
  ]
}

/** A door, as against a curtain: opening it lets somebody in. */
function isWayIn({ info }: Entity): boolean {
  return info.kind === 'cover' && ['garage', 'door', 'gate'].includes(info.deviceClass ?? '')
}

function waters({ info }: Entity): boolean {
  return /sprinkl|irrigat|water|garden|lawn|drip|hose/i.test(`${info.name} ${info.id}`)
}

export const coverRules: readonly Rule[] = [
  ...rulesOf('cover'),
  {
    intent: 'cover.stop',
    kind: 'cover',
    uses: ['verb'],
    when: ({ verb }) => verb === 'stop',
    act: (entity) =>
      can(entity, 'stop')
        ? { command: { action: 'stop' }, effect: 'stopped' }
        : { impossible: `${entity.info.name} cannot be stopped on its way` },
  },
]

export const valveRules: readonly Rule[] = rulesOf('valve')
