/** The share of a home that one of several devices looks after (`HomeShare`). */
import type { HomeShare } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { ParsedHome } from './home.ts'

/** Throws HalError `out-of-range` for a share that is none. */
export function shareOf(home: ParsedHome, { part, of }: HomeShare): ParsedHome {
  if (!(Number.isInteger(part) && Number.isInteger(of) && part >= 1 && part <= of))
    throw new HalError('out-of-range', `${home.name}: there is no part ${part} of ${of}`)
  const own = new Set(home.layout.areas.flatMap(({ id }, at) => (at % of === part - 1 ? [id] : [])))
  const entities = home.entities.filter(
    ({ info: { area }, everywhere }) => everywhere || (area === undefined ? part === 1 : own.has(area)),
  )
  return { ...home, entities, layout: { areas: home.layout.areas.filter(({ id }) => own.has(id)) } }
}
