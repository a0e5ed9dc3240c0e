/** Areas that parts are in: those that the place has already, by id or name, and those that a configuration names first. */
import type { Layout } from '../contract/board.ts'

export class AreaBook {
  #areas: Layout['areas']

  constructor(layout: Layout) {
    this.#areas = layout.areas
  }

  get layout(): Layout {
    return { areas: this.#areas }
  }

  /** Id of the area that is called so; it is added where there is none. */
  idOf(called: string | undefined): string | undefined {
    if (called === undefined) return undefined
    const folded = called.trim().toLowerCase()
    const names = (area: Layout['areas'][number]) => [area.id, area.name, ...(area.aliases ?? [])]
    const known = this.#areas.find((area) => names(area).some((name) => name.toLowerCase() === folded))
    if (known) return known.id
    const id = folded.replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '') || 'area'
    const taken = this.#areas.find((area) => area.id === id)
    if (!taken) this.#areas = [...this.#areas, { id, name: called.trim() }]
    return id
  }
}
