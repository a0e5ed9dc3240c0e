/** What an entity is doing, in words, from its last report and nothing else. */
import type { Entity } from '../things/entity.ts'

/** For binary sensors: what `on` and `off` mean, by device class (Home Assistant's table). */
const binary: Readonly<Record<string, readonly [string, string]>> = {
  battery: ['low', 'normal'],
  battery_charging: ['charging', 'not charging'],
  carbon_monoxide: ['detecting carbon monoxide', 'clear'],
  cold: ['cold', 'normal'],
  connectivity: ['connected', 'disconnected'],
  door: ['open', 'closed'],
  garage_door: ['open', 'closed'],
  gas: ['detecting gas', 'clear'],
  heat: ['hot', 'normal'],
  light: ['detecting light', 'in the dark'],
  lock: ['unlocked', 'locked'],
  moisture: ['wet', 'dry'],
  motion: ['detecting motion', 'clear'],
  moving: ['moving', 'still'],
  occupancy: ['occupied', 'not occupied'],
  opening: ['open', 'closed'],
  plug: ['plugged in', 'unplugged'],
  power: ['powered', 'without power'],
  presence: ['home', 'away'],
  problem: ['reporting a problem', 'all right'],
  running: ['running', 'not running'],
  safety: ['unsafe', 'safe'],
  smoke: ['detecting smoke', 'clear'],
  sound: ['detecting sound', 'quiet'],
  tamper: ['reporting tampering', 'clear'],
  update: ['ready for an update', 'up to date'],
  vibration: ['vibrating', 'still'],
  window: ['open', 'closed'],
}

/** Why nothing can be said of it; undefined where something can. */
export function silence(entity: Entity): string | undefined {
  const { name } = entity.info
  if (entity.telemetry.state === 'unavailable') return `${name} is not available right now`
  if (entity.telemetry.state === 'unknown' || entity.telemetry.state === '')
    return `${name} has not reported its state yet`
  return undefined
}

/** `on at 50 %`, `locked`, `48 %`: what follows `<name> is`. */
export function stateText(entity: Entity): string {
  const { info, telemetry } = entity
  const { state, attributes } = telemetry
  switch (info.kind) {
    case 'light': {
      const level = Number(attributes['brightness'] ?? Number.NaN)
      return state === 'on' && level > 0 ? `on at ${Math.round((level * 100) / 255)} %` : state
    }
    case 'binary_sensor':
      return binary[info.deviceClass ?? '']?.[state === 'on' ? 0 : 1] ?? state
    case 'sensor':
    case 'number':
      return withUnit(entity)
    case 'cover':
    case 'valve': {
      const position = Number(attributes['current_position'] ?? Number.NaN)
      return state === 'open' && position > 0 && position < 100 ? `open at ${position} %` : state
    }
    case 'climate':
      return climateText(state, attributes)
    case 'todo':
      return `a list of ${state} ${state === '1' ? 'item' : 'items'}`
    default:
      return state.replaceAll('_', ' ')
  }
}

function climateText(state: string, attributes: Entity['telemetry']['attributes']): string {
  const { temperature, current_temperature: room } = attributes
  const target = typeof temperature === 'number' ? `, wanted ${temperature}°` : ''
  const now = typeof room === 'number' ? `, now ${room}°` : ''
  return `${state === 'off' ? 'off' : `set to ${state.replace('_', ' ')}`}${target}${now}`
}

/** A sensor's value as people say it: `21.5 °C`, `48 %`. */
export function withUnit(entity: Entity): string {
  const unit = entity.info.unit ?? entity.telemetry.attributes['unit_of_measurement']
  if (typeof unit !== 'string') return entity.telemetry.state
  return unit === '°' ? `${entity.telemetry.state}°` : `${entity.telemetry.state} ${unit}`
}

const off = new Set(['off', 'standby'])

/** Whether an entity is in a state that people name; undefined where the word does not apply to it or it is silent. */
export function isIn(entity: Entity, word: string): boolean | undefined {
  if (silence(entity) !== undefined) return undefined
  const { info, telemetry } = entity
  const { state } = telemetry
  const opposite = opposites.get(word)
  if (opposite !== undefined) {
    const found = isIn(entity, opposite)
    return found === undefined ? undefined : !found
  }
  switch (word) {
    case 'on':
      return onFor(entity)
    case 'open':
      if (info.kind === 'cover' || info.kind === 'valve') return state !== 'closed'
      if (info.kind === 'binary_sensor' && isOpening(info.deviceClass)) return state === 'on'
      return undefined
    case 'locked':
      if (info.kind === 'lock') return state === 'locked'
      if (info.kind === 'binary_sensor' && info.deviceClass === 'lock') return state === 'off'
      return undefined
    case 'playing':
    case 'paused':
      return info.kind === 'media_player' ? state === word : undefined
    case 'muted':
      return info.kind === 'media_player' ? telemetry.attributes['is_volume_muted'] === true : undefined
    case 'cleaning':
    case 'docked':
      return info.kind === 'vacuum' ? state === word : undefined
    case 'running':
      if (info.kind === 'vacuum') return state === 'cleaning'
      return info.kind === 'binary_sensor' && info.deviceClass !== 'running' ? undefined : onFor(entity)
    case 'detected':
      return info.kind === 'binary_sensor' ? state === 'on' : undefined
    default:
      return undefined
  }
}

const opposites: ReadonlyMap<string, string> = new Map([
  ['off', 'on'],
  ['closed', 'open'],
  ['unlocked', 'locked'],
])

function isOpening(deviceClass: string | undefined): boolean {
  return ['door', 'garage_door', 'opening', 'window'].includes(deviceClass ?? '')
}

function onFor({ info, telemetry }: Entity): boolean | undefined {
  switch (info.kind) {
    case 'light':
    case 'switch':
    case 'fan':
      return telemetry.state === 'on'
    case 'media_player':
    case 'climate':
      return !off.has(telemetry.state)
    case 'valve':
      return telemetry.state !== 'closed'
    case 'vacuum':
      return telemetry.state === 'cleaning'
    case 'binary_sensor':
      return telemetry.state === 'on'
    default:
      return undefined
  }
}
