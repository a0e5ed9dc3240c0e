/** What is said back where a clause gives no command: what is missing, what is not known, what there is instead. */
import type { Clause } from './clause.ts'
import { type EntityWords, isActuator } from './home-index.ts'
import { ask, type Chosen, type Interpretation, refuse, type Scene } from './interpretation.ts'
import { nameWords } from './normalise.ts'
import { bestMatches, isCollective, isPlural, tell } from './resolve.ts'
import { nearestNames } from './spelling.ts'

export function which(
  clause: Clause,
  entities: readonly EntityWords[],
): Interpretation & { kind: 'question' } {
  const areas = [...new Set(entities.map((entity) => entity.area?.name))]
  const whole = isPlural(clause.target) || isCollective(clause.target)
  const noun = nounName(clause) ?? 'device'
  if (whole && areas.length > 1 && areas.every((area) => area !== undefined) && entities.length > 3)
    return ask(`Where should I ${verbOf(clause)} the ${noun}s: ${listed(areas)}?`, areas)
  const options = entities.map((entity) => tell(entity, entities))
  return ask(`Which one should I ${verbOf(clause)}: ${listed(options)}?`, options)
}

export function notHere(clause: Clause, { context, index }: Scene): Chosen {
  if (context.area === undefined)
    return ask(
      'Which room do you mean?',
      index.areas.map((area) => area.name),
    )
  const area = index.areas.find(({ id }) => id === context.area)?.name ?? context.area
  return refuse(`There is no ${nounName(clause)} in ${area}.`)
}

export function notKnown(words: readonly string[], { index }: Scene): Interpretation {
  const names = [
    ...index.entities.filter(isActuator).map((entity) => entity.info.name),
    ...index.areas.map((area) => area.name),
  ]
  const near = nearestNames(words[0] ?? '', names, 3)
  const hint = near.length > 0 ? ` Did you mean ${listed(near, 'or')}?` : ''
  return refuse(`I do not know “${words.join(' ')}” here.${hint}`)
}

export function notFound(clause: Clause, { index }: Scene): Chosen {
  const able = index.entities.filter(isActuator)
  const other = bestMatches(clause.target, able)[0]
  if (other)
    return refuse(`${other.words.info.name} is a ${kindName(other.words)}, it cannot be ${done(clause)}.`)
  const said = clause.target.map(({ word }) => word)
  const noun = nounName(clause)
  const vacuum = able.find((entity) => entity.info.kind === 'vacuum')
  if (clause.slots.verb === 'clean' && vacuum)
    return refuse(`${vacuum.info.name} cannot be sent to one room; say “start ${vacuum.info.name}”.`)
  const places = [
    ...index.areas.map((area) => area.name),
    ...index.areas.map((area) => area.floor ?? area.name),
  ]
  const place = places.find((name) => nameWords(name).every((word) => said.includes(word)))
  const inPlace = new Set(place === undefined ? [] : nameWords(place))
  const accounted = clause.target.every(({ word, noun: own }) => inPlace.has(word) || own !== undefined)
  if (noun !== undefined && place && accounted) return refuse(`There is no ${noun} in ${place}.`)
  return refuse(`There is no “${said.join(' ').trim()}” here that can be ${done(clause)}.`)
}

function nounName(clause: Clause): string | undefined {
  return clause.target.findLast(({ noun }) => noun)?.noun?.noun.name
}

function kindName(entity: EntityWords): string {
  return entity.info.kind.replace('_', ' ')
}

export function verbOf({ slots }: Clause): string {
  if (slots.state) return `turn ${slots.state}`
  if (slots.verb === 'next' || slots.verb === 'previous') return 'skip on'
  if (slots.verb === 'clean') return 'start'
  if (slots.verb === 'dock') return 'send home'
  if (slots.verb) return slots.verb
  return slots.direction ? `turn ${slots.direction}` : 'set'
}

const participles: Partial<Record<string, string>> = {
  open: 'opened',
  close: 'closed',
  start: 'started',
  stop: 'stopped',
  lock: 'locked',
  unlock: 'unlocked',
  play: 'played',
  resume: 'resumed',
  pause: 'paused',
  clean: 'started',
  dock: 'sent home',
  water: 'opened for watering',
}

/** What cannot be done to it: `opened`, `turned on`, `set like that`. */
function done({ slots }: Clause): string {
  if (slots.state) return `turned ${slots.state}`
  return participles[slots.verb ?? ''] ?? 'set like that'
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** `a, b and c`. */
export function listed(names: readonly string[], last = 'or'): string {
  const few = names.slice(0, 6)
  if (names.length > few.length) return `${few.join(', ')} … (${names.length} in all)`
  return few.length < 2 ? few.join('') : `${few.slice(0, -1).join(', ')} ${last} ${few.at(-1)}`
}
