/** Which entities a pattern means, which of their reports a filter lets through, and how an agent sees one. */
import * as v from 'valibot'
import type { Cancel } from '../../base/clock.ts'
import type { Entity } from '../../things/entity.ts'
import type { Reports } from '../../things/things.ts'
import { privacies } from '../../wire/infer.ts'
import type { Json, Privacy, Seen, Telemetry } from '../contract.ts'

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

export function telemetryOf({ info, telemetry }: Entity): Telemetry & { readonly [key: string]: Json } {
  const { state, attributes, tsMs } = telemetry
  return { entity: info.id, state, attributes, area: info.area ?? '', tsMs }
}

/** How far what an entity reports may travel, where the one that made it says so: wherever it is read, the label stays. */
export function labelOf({
  telemetry,
}: {
  readonly telemetry: { readonly attributes: Telemetry['attributes'] }
}): { readonly privacy?: Privacy } {
  const privacy = privacies.find((one) => one === telemetry.attributes['privacy'])
  return privacy === undefined ? {} : { privacy }
}

type SeenItem = Seen & { readonly [key: string]: Json }

/**
 * Calls `tell` for every report that changed something and fits; with `to` or `from` only where the state changed. A report that
 * says again what was known is none.
 */
export function watchReports(
  reports: Reports,
  matches: (id: string) => boolean,
  { to, from, area }: Filter,
  tell: (seen: SeenItem) => void,
): Cancel {
  const before = new Map(
    reports.entities().flatMap(({ info, telemetry }) => (matches(info.id) ? [[info.id, telemetry]] : [])),
  )
  // Hundreds of agents hear each report: which entities a pattern means is found out once for each.
  const meant = new Map([...before.keys()].map((id) => [id, true]))
  const isMeant = (id: string): boolean => {
    const known = meant.get(id)
    if (known !== undefined) return known
    meant.set(id, matches(id))
    return matches(id)
  }
  return reports.onReport((entity, first) => {
    const { info, telemetry } = entity
    if (!isMeant(info.id)) return
    const was = before.get(info.id)
    before.set(info.id, telemetry)
    // Of another device: what it is, heard for the first time, is no change.
    if (first) return
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
