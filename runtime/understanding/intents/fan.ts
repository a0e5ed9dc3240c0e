/** Fans: on and off, speed in percent or in words, oscillation. */

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

/** Home Assistant's default step of a fan, percent. */
const stepPercent = 25

function relative({ direction, amount, level }: Slots): boolean {
  return direction !== undefined && level === undefined && (amount === undefined || amount.relative)
}

function speed(entity: Entity, slots: Slots): Act {
  const { name } = entity.info
  if (!can(entity, 'set_speed')) return { impossible: `${name} has no speeds` }
  let percent = percentOf(slots) ?? 0
  if (relative(slots)) {
    const now = numberOf(entity, 'percentage') ?? (entity.telemetry.state === 'off' ? 0 : 50)
    const size = slots.amount?.value ?? stepPercent
    percent = Math.min(100, Math.max(1, now + (slots.direction === 'down' ? -size : size)))
  } else if (slots.level === 'min') percent = 1
  const outside = outsidePercent(`The speed of ${name}`, percent)
  if (outside) return outside
  if (percent === 0) return { command: { state: 'off' }, effect: 'off' }
  return { command: { state: 'on', percentage: Math.round(percent) }, effect: `at ${Math.round(percent)} %` }
}

export const fanRules: readonly Rule[] = [
  {
    intent: 'fan.turn_on',
    kind: 'fan',
    uses: ['state', 'verb'],
    when: turnsOn,
    act: () => ({ command: { state: 'on' }, effect: 'on' }),
  },
  {
    intent: 'fan.turn_off',
    kind: 'fan',
    uses: ['state', 'verb'],
    when: turnsOff,
    act: () => ({ command: { state: 'off' }, effect: 'off' }),
  },
  {
    intent: 'fan.set_speed',
    kind: 'fan',
    uses: ['state', 'attribute', 'amount', 'level', 'direction'],
    when: (slots) =>
      slots.state !== 'off' &&
      inPercent(slots) &&
      (slots.attribute === undefined || slots.attribute === 'speed') &&
      (percentOf(slots) !== undefined || relative(slots)),
    act: speed,
  },
  {
    intent: 'fan.oscillate',
    kind: 'fan',
    uses: ['state', 'verb'],
    implied: 'nothing',
    when: ({ verb }) => verb === 'oscillate',
    prefers: ({ telemetry }, { state }) =>
      (telemetry.attributes['oscillating'] === true) === (state === 'off'),
    act: (entity, { state }) => {
      if (!can(entity, 'oscillate')) return { impossible: `${entity.info.name} cannot oscillate` }
      return state === 'off'
        ? { command: { oscillating: false }, effect: 'no longer oscillating' }
        : { command: { oscillating: true }, effect: 'oscillating' }
    },
  },
]
