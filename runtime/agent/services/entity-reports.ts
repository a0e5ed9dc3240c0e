/** Which entities a pattern means, which of their reports a filter lets through, and how an agent sees one. */
import * as v from 'valibot'
import type { Cancel } from '../../base/clock.ts'
import type { Entity } from '../../things/entity.ts'
import type { EntityRegistry } from '../../things/registry.ts'
import type { Json, Seen, Telemetry } from '../contract.ts'

const nameCharsMax = 255
const statesMax = 32

export const entityId = v.pipe(
  v.string('must be an id such as light.kitchen'),
  v.nonEmpty('must not be empty'),
  v.maxLength(nameCharsMax, `must be at most ${nameCharsMax} characters`),
)
export const entityPattern = v.pipe(
  v.string('must be a pattern such as light.*'),
  v.nonEmpty('must not be empty'),
  v.maxLength(nameCharsMax, `must be at most ${nameCharsMax} characters`),
)

const state = v.pipe(
  v.string('must be a state or several'),
  v.maxLength(nameCharsMax, `must be at most ${nameCharsMax} characters`),
)
const states = v.union(
  [state, v.pipe(v.array(state), v.maxLength(statesMax, `must be at most ${statesMax} states`))],
  'must be a state or a list of states',
)
export const reportFilter = v.strictObject(
  { to: v.optional(states), from: v.optional(states), area: v.optional(state) },
  'takes to, from and area',
)
type Filter = v.InferOutput<typeof reportFilter>

/** `*` stands for any characters but a dot. Linear in the lengths: a pattern comes from an agent. */
export function matcherOf(pattern: string): (id: string) => boolean {
  const wanted = pattern.split('.')
  return (id) => {
    const parts = id.split('.')
    return parts.length === wanted.length && wanted.every((part, at) => isLike(parts[at] ?? '', part))
  }
}

/** Greedy: on a mismatch the last star takes one character more. */
function isLike(text: string, pattern: string): boolean {
  let at = 0
  let star = -1
  let afterStar = 0
  for (let position = 0; position < text.length; ) {
    if (pattern[at] === '*') {
      star = at
      afterStar = position
      at += 1
    } else if (pattern[at] === text[position]) {
      at += 1
      position += 1
    } else if (star >= 0) {
      at = star + 1
      afterStar += 1
      position = afterStar
    } else return false
  }
  while (pattern[at] === '*') at += 1
  return at === pattern.length
}

export function telemetryOf({ info, telemetry }: Entity): Telemetry & { readonly [key: string]: Json } {
  const { state, attributes, tsMs } = telemetry
  return { entity: info.id, state, attributes, area: info.area ?? '', tsMs }
}

type SeenItem = Seen & { readonly [key: string]: Json }

/**
 * Calls `tell` for every report that changed something and fits; with `to` or `from` only where the state changed. A report that
 * says again what was known is none.
 */
export function watchReports(
  registry: EntityRegistry,
  matches: (id: string) => boolean,
  { to, from, area }: Filter,
  tell: (seen: SeenItem) => void,
): Cancel {
  const before = new Map(
    registry
      .view()
      .entities.flatMap(({ info, telemetry }) => (matches(info.id) ? [[info.id, telemetry]] : [])),
  )
  // Hundreds of agents hear each report: which entities a pattern means is found out once for each.
  const meant = new Map([...before.keys()].map((id) => [id, true]))
  const isMeant = (id: string): boolean => {
    const known = meant.get(id)
    if (known !== undefined) return known
    meant.set(id, matches(id))
    return matches(id)
  }
  return registry.onReport((entity) => {
    const { info, telemetry } = entity
    if (!isMeant(info.id)) return
    const was = before.get(info.id)
    before.set(info.id, telemetry)
    if (area !== undefined && info.area !== area) return
    const moved = was?.state !== telemetry.state
    if (!moved && (to !== undefined || from !== undefined)) return
    if (!moved && JSON.stringify(was?.attributes) === JSON.stringify(telemetry.attributes)) return
    if (to !== undefined && !includes(to, telemetry.state)) return
    if (from !== undefined && !(was && includes(from, was.state))) return
    tell({ ...telemetryOf(entity), ...(was ? { from: was.state } : {}) })
  })
}

export const includes = (wanted: string | readonly string[], is: string) =>
  typeof wanted === 'string' ? wanted === is : wanted.includes(is)
