/**
 * What covers and valves share: a motor that travels between closed (0) and open (100), reporting on its way. A device
 * whose home file gives neither `current_position` nor the feature `set_position` has no position sensor: it reports
 * only open and closed, and none is invented.
 */

import { CommandFields } from '../../command-fields.ts'
import type { Command } from '../../contract/actuator.ts'
import type { Json } from '../../contract/component.ts'
import { times } from '../times.ts'
import type { Change, Device, Kind, Movement, Snapshot, Step } from './kind.ts'
import { offers } from './kind.ts'

const states = ['open', 'closed', 'opening', 'closing']

export function positioned(kind: 'cover' | 'valve', fullTravelMs: number): Kind {
  return {
    kind,
    states,
    restState: 'closed',
    booleanStates: ['closed', 'open'],
    begin: (device, command) => begin(device, command, fullTravelMs),
    halt: (now) => (now.state === 'opening' || now.state === 'closing' ? rest(now, position(now)) : {}),
  }
}

function begin(device: Device, command: Command, fullTravelMs: number): Movement {
  const fields = new CommandFields(device.info.id, command, ['state', 'position', 'action'])
  if (Object.keys(command).length > 1)
    fields.refuse('malformed', Object.keys(command).join(' and '), 'give one of state, position, action')
  fields.needs('position', offers(device, 'set_position'), 'position control')
  fields.needs('action', offers(device, 'stop'), 'stop')
  const state = fields.oneOf('state', ['open', 'closed'])
  if (state) {
    const needed = state === 'open' ? 'open' : 'close'
    fields.needs('state', offers(device, needed, 'set_position'), `feature ${needed}`)
  }
  const target = fields.whole('position', 0, 100) ?? (state === 'open' ? 100 : 0)
  if (fields.oneOf('action', ['stop']))
    return movement([{ afterMs: times.answerMs, apply: (now) => rest(now, position(now)) }])
  return movement(travel(device, target, fullTravelMs))
}

function movement(steps: readonly Step[]): Movement {
  return { steps, replaces: true, idempotent: true }
}

function travel(device: Device, target: number, fullTravelMs: number): Step[] {
  const { now } = device
  const reports =
    'current_position' in now.attributes || (device.info.features ?? []).includes('set_position')
  const arrived = (): Change => at(target === 0 ? 'closed' : 'open', reports ? target : undefined)
  const start = position(now)
  const settled = now.state === 'open' || now.state === 'closed'
  if (start === target && settled) return [{ afterMs: times.answerMs, apply: arrived }]
  // A device without position sensor that is turned round midway must run the whole way: nobody knows where it is.
  const known = settled || 'current_position' in now.attributes
  const distance = known ? Math.abs(target - start) : 100
  const travelMs = Math.max(times.answerMs, (distance / 100) * fullTravelMs)
  const direction = target > start || target === 100 ? 'opening' : 'closing'
  const steps: Step[] = [
    { afterMs: Math.min(times.answerMs, travelMs / 2), apply: () => ({ state: direction }) },
  ]
  for (let ms = times.positionReportMs; reports && ms < travelMs; ms += times.positionReportMs) {
    const reached = Math.round(start + ((target - start) * ms) / travelMs)
    steps.push({ afterMs: ms, apply: () => at(direction, reached) })
  }
  steps.push({ afterMs: travelMs, apply: arrived })
  return steps
}

/** Where it is; without a position sensor, the end that the state implies. */
function position(now: Snapshot): number {
  const reported = now.attributes['current_position']
  if (typeof reported === 'number') return reported
  return now.state === 'closed' ? 0 : 100
}

/** Standing still at a position. Stopped midway without a position sensor is open: it is not closed any more. */
function rest(now: Snapshot, where: number): Change {
  const moving = now.state === 'opening' || now.state === 'closing'
  if (!('current_position' in now.attributes)) return moving ? { state: 'open' } : {}
  return { state: where === 0 ? 'closed' : 'open' }
}

function at(state: string, where: number | undefined): Change {
  const attributes: Record<string, Json> = where === undefined ? {} : { current_position: where }
  return { state, attributes }
}
