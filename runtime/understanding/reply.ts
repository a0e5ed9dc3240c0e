/** What will be true once commands are verified, in one short sentence. It is only said then. */

import type { ComponentInfo } from '../../hal/contract/component.ts'
import type { Step } from './interpretation.ts'
import { nouns } from './kinds.ts'
import { nameWords } from './normalise.ts'

const plurals: Partial<Record<ComponentInfo['kind'], string>> = {
  light: 'lights',
  switch: 'switches',
  fan: 'fans',
  cover: 'covers',
  valve: 'valves',
  lock: 'locks',
  climate: 'thermostats',
  media_player: 'players',
  vacuum: 'vacuums',
}

/** `Lounge Blinds are open`. */
export function isOrAre(name: string): 'is' | 'are' {
  return nouns.get(nameWords(name).at(-1) ?? '')?.plural === true ? 'are' : 'is'
}

export interface Group {
  readonly steps: readonly Step[]
  /** The one area that all are in. */
  readonly place: string | undefined
}

/** `Living Room Lamp is on.`, `3 lights in Kitchen are off.` */
export function replyFor(
  groups: readonly Group[],
  infoOf: (id: string) => ComponentInfo | undefined,
): string {
  return `${groups.map((group) => sentence(group, infoOf)).join(', and ')}.`
}

/** `4 lights, 1 fan and 2 switches`. */
function counted(steps: readonly Step[], infoOf: (id: string) => ComponentInfo | undefined): string {
  const counts = new Map<string, number>()
  for (const step of steps) {
    const kind = infoOf(step.entity)?.kind ?? 'device'
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  const parts = [...counts].map(([kind, count]) => {
    const plural = plurals[kind as ComponentInfo['kind']] ?? 'devices'
    return `${count} ${count === 1 ? kind.replace('media_', '') : plural}`
  })
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}

function sentence({ steps, place }: Group, infoOf: (id: string) => ComponentInfo | undefined): string {
  const first = steps[0]
  if (first === undefined) return ''
  if (first.sentence !== undefined) return first.sentence
  const names = steps.map((step) => infoOf(step.entity)?.name ?? step.entity)
  const same = steps.every((step) => step.effect === first.effect)
  if (steps.length === 1) return `${names[0]} ${isOrAre(names[0] ?? '')} ${first.effect}`
  if (!same)
    return steps.map((step, at) => `${names[at]} ${isOrAre(names[at] ?? '')} ${step.effect}`).join(', ')
  if (steps.length === 2) return `${names.join(' and ')} are ${first.effect}`
  const kinds = new Set(steps.map((step) => infoOf(step.entity)?.kind))
  if (kinds.size > 1)
    return `${counted(steps, infoOf)}${place === undefined ? '' : ` in ${place}`} are ${first.effect}`
  const kind = kinds.size === 1 ? plurals[[...kinds][0] ?? 'light'] : undefined
  return `${steps.length} ${kind ?? 'devices'}${place === undefined ? '' : ` in ${place}`} are ${first.effect}`
}
