/** States, times and commands in words a person uses. Pure. */
import type { Json } from '../../../runtime/wire/messages.ts'
import type { EntityView } from './entity.ts'

/** `850 ms`, `2.1 s`, `3 min`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${trimmed(ms / 1000, 1)} s`
  return span(ms)
}

/** A coarse span: `12 s`, `3 min`, `2 h`, `5 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** `just now`, `12 s ago`; the same word for the first seconds, so a busy page stays calm. */
export function ago(ts: number, nowMs: number): string {
  return nowMs - ts < 5000 ? 'just now' : `${span(nowMs - ts)} ago`
}

/** A number with at most `digits` decimals and no trailing zeros. */
export function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)))
}

/** `21.5 °C`, `45°`: of an angle the sign stands at the number. */
export function withUnit(value: string, unit: string | undefined): string {
  if (!unit) return value
  return unit === '°' ? `${value}°` : `${value} ${unit}`
}

/** `living_room` → `Living room`. */
export function sentence(id: string): string {
  return capital(id.replaceAll('_', ' ').trim())
}

/** A line that somebody wrote, as the beginning of a sentence. */
export function capital(line: string): string {
  return line.charAt(0).toUpperCase() + line.slice(1)
}

const binaryWords: Readonly<Record<string, readonly [on: string, off: string]>> = {
  battery: ['Low', 'Normal'],
  cold: ['Cold', 'Normal'],
  connectivity: ['Connected', 'Disconnected'],
  door: ['Open', 'Closed'],
  garage_door: ['Open', 'Closed'],
  gas: ['Gas detected', 'Clear'],
  heat: ['Hot', 'Normal'],
  light: ['Light', 'Dark'],
  lock: ['Unlocked', 'Locked'],
  moisture: ['Wet', 'Dry'],
  motion: ['Motion', 'Clear'],
  moving: ['Moving', 'Still'],
  occupancy: ['Occupied', 'Clear'],
  opening: ['Open', 'Closed'],
  plug: ['Plugged in', 'Unplugged'],
  presence: ['Home', 'Away'],
  problem: ['Problem', 'OK'],
  safety: ['Unsafe', 'Safe'],
  smoke: ['Smoke detected', 'Clear'],
  sound: ['Sound', 'Quiet'],
  vibration: ['Vibration', 'Still'],
  window: ['Open', 'Closed'],
}

/** What an entity is doing, for a person. Never claims a state that was not reported. */
export function stateWords(entity: EntityView): string {
  if (!entity.available || entity.state === 'unavailable') return 'Unavailable'
  if (entity.state === '' || entity.state === 'unknown') return 'No report yet'
  if (entity.kind === 'binary_sensor') {
    const words = binaryWords[entity.deviceClass ?? '']
    if (words && entity.state === 'on') return words[0]
    if (words && entity.state === 'off') return words[1]
  }
  if (entity.kind === 'sensor') {
    const value = Number(entity.state)
    const shown = Number.isFinite(value) ? trimmed(value, 2) : sentence(entity.state)
    return withUnit(shown, entity.unit)
  }
  return sentence(entity.state)
}

function valueWords(value: Json): string {
  if (Array.isArray(value)) return value.map(valueWords).join(' ')
  if (value !== null && typeof value === 'object') return JSON.stringify(value)
  return String(value)
}

/** A command as words: `state off`, `brightness 128`. */
export function commandWords(command: Readonly<Record<string, Json>>): string {
  return Object.entries(command)
    .map(([field, value]) =>
      field === 'state' || field === 'action'
        ? valueWords(value).replaceAll('_', ' ')
        : `${field.replaceAll('_', ' ')} ${valueWords(value)}`,
    )
    .join(', ')
}

/** Reported state with the attributes that a command named, for evidence. */
export function observedWords(
  observed: { readonly state: string; readonly attributes: Readonly<Record<string, Json>> },
  command: Readonly<Record<string, Json>> = {},
): string {
  const named = Object.keys(command)
    .filter((field) => field !== 'state' && observed.attributes[field] !== undefined)
    .map((field) => `${field.replaceAll('_', ' ')} ${valueWords(observed.attributes[field] ?? null)}`)
  return [observed.state.replaceAll('_', ' '), ...named].join(', ')
}

/** Wall-clock time of day. */
export function timeOfDay(ts: number): string {
  return new Date(ts).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
}

export function megabytes(mb: number): string {
  return `${trimmed(mb, mb < 10 ? 1 : 0)} MB`
}
