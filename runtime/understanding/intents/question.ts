/**
 * Questions about the home, answered from telemetry alone. What has not reported is said not to have reported; it is
 * never counted as off, closed or locked.
 */
import type { Entity } from '../../things/entity.ts'
import { isIn, silence, stateText } from '../describe.ts'
import { type EntityWords, stem } from '../home-index.ts'
import type { Scene } from '../interpretation.ts'
import { type Measure, measures, setPoint } from '../measures.ts'
import type { Token } from '../normalise.ts'
import { isOrAre } from '../reply.ts'
import { bestMatches, isPlural, rank } from '../resolve.ts'
import type { Understanding } from '../understanding.ts'
import { listed } from '../wording.ts'
import { type Asked, openingOf, outside, readQuestion, weatherWords } from './asked.ts'
import { dateAnswer, timeAnswer } from './time.ts'
import { itemsOf } from './todo.ts'

/** The answer to a question; undefined where the text is not one. */
export function answer(text: string, tokens: readonly Token[], scene: Scene): Understanding | undefined {
  const opening = openingOf(tokens)
  if (opening.kind === 'none') return undefined
  if (opening.kind === 'unanswerable')
    return {
      kind: 'refusal',
      reading: { intent: 'question', words: [] },
      reply: 'I can say what the home reports, but not who did something, when, or why.',
    }
  const { first, words: rest } = opening
  const clock = clockAnswer(first, rest, scene)
  if (clock) return clock
  const asked = readQuestion(text, first, rest, scene)
  if (first === 'can') return mayAnswer(asked, scene)
  if (rest.some((token) => token.text === 'list') || asksList(asked, scene)) return listAnswer(asked, scene)
  if (asked.weather !== undefined) return weatherAnswer(asked, scene)
  const unknown = asked.target.filter(({ known, word }) => !known && !outside.has(word))
  if (unknown.length > 0)
    return no(asked, `I do not know “${unknown.map(({ word }) => word).join(' ')}” here.`)
  if (asked.classes) return detectAnswer(asked, asked.classes, scene)
  if (asked.measure) return measureAnswer(asked, asked.measure, scene)
  if (asked.state) return stateAnswer(asked, asked.state, scene)
  return describeAnswer(asked, scene)
}

function clockAnswer(first: string, words: readonly Token[], { context }: Scene): Understanding | undefined {
  const said = [first, ...words.map((token) => token.text)].join(' ')
  const reading = { intent: 'question.time', words: [{ text: said, role: 'question', means: 'the time' }] }
  if (/^(?:what|how) (?:(?:is )?the time|time is it|time it is|is the time|time)(?: now)?$/.test(said))
    return { kind: 'answer', reading, reply: timeAnswer(context.nowMs), entities: [] }
  if (
    /^what (?:day|date) is (?:it|today)(?: today)?$|^what is (?:the|todays) (?:date|day)(?: today)?$/.test(
      said,
    )
  )
    return { kind: 'answer', reading, reply: dateAnswer(context.nowMs), entities: [] }
  return undefined
}

function yes(asked: Asked, intent: string, reply: string, entities: readonly Entity[]): Understanding {
  const reading = { intent: `question.${intent}`, words: asked.words }
  return { kind: 'answer', reading, reply, entities: entities.map((entity) => entity.info.id) }
}

function no(asked: Asked, reply: string): Understanding {
  return { kind: 'refusal', reading: { intent: 'question', words: asked.words }, reply }
}

/** Entities that the words mean, among those that `applies` to. */
function meant(asked: Asked, scene: Scene, applies: (entity: Entity) => boolean): Entity[] {
  const able = scene.index.entities.filter((words) => {
    const live = scene.live.get(words.info.id)
    return live !== undefined && applies(live)
  })
  const found: readonly EntityWords[] =
    asked.target.length === 0 ? able : bestMatches(asked.target, able).map((match) => match.words)
  const here = found.filter((words) => words.info.area === scene.context.area)
  const narrowed =
    asked.here || (here.length > 0 && !asked.all && !asked.any && !isPlural(asked.target) && !asked.count)
  return (narrowed && scene.context.area !== undefined ? here : found).flatMap(
    (words) => scene.live.get(words.info.id) ?? [],
  )
}

function names(entities: readonly Entity[], scene: Scene): string {
  const told = entities.map((entity) => {
    const twin = entities.some((other) => other !== entity && other.info.name === entity.info.name)
    const area = scene.index.areas.find(({ id }) => id === entity.info.area)
    return twin && area ? `${entity.info.name} (${area.name})` : entity.info.name
  })
  return listed(told, 'and')
}

const sentence = (entity: Entity) => `${entity.info.name} ${isOrAre(entity.info.name)} ${stateText(entity)}`

const isAre = (count: number) => (count === 1 ? 'is' : 'are')

function couldBe(entity: Entity, state: string): boolean {
  // A silent entity still counts where the word applies to its kind: it must be said that it is silent.
  const spoken =
    silence(entity) === undefined ? entity : { ...entity, telemetry: { ...entity.telemetry, state: 'off' } }
  return isIn(spoken, state) !== undefined
}

function stateAnswer(asked: Asked, state: string, scene: Scene): Understanding {
  const devices = new Set(['light', 'switch', 'fan', 'media_player'])
  const found = meant(
    asked,
    scene,
    (entity) => couldBe(entity, state) && (!asked.anything || devices.has(entity.info.kind)),
  )
  const open = asked.first === 'what' || asked.first === 'which'
  if (asked.target.length === 0 && !asked.anything && !asked.here && !open)
    return {
      kind: 'question',
      reading: { intent: 'question.state', words: asked.words },
      reply: `What do you want to know of?`,
      options: [],
    }
  if (found.length === 0) return no(asked, `There is nothing like that here that could be ${state}.`)
  const silent = found.filter((entity) => silence(entity) !== undefined)
  const spoken = found.filter((entity) => silence(entity) === undefined)
  const are = spoken.filter((entity) => isIn(entity, state) === true)
  const not = spoken.filter((entity) => isIn(entity, state) === false)
  const tail = silent.length === 0 ? '' : ` ${silent.map((entity) => `${silence(entity)}.`).join(' ')}`
  const reply = spoken.length === 0 ? tail.trim() : `${stateSentence(asked, state, are, not, scene)}${tail}`
  return yes(asked, 'state', reply, found)
}

function stateSentence(
  asked: Asked,
  state: string,
  are: readonly Entity[],
  not: readonly Entity[],
  scene: Scene,
): string {
  const noun = asked.target.findLast((word) => word.noun)?.noun?.noun.name ?? 'device'
  if (asked.count)
    return are.length === 0
      ? `No ${noun} is ${state}.`
      : `${are.length} ${are.length === 1 ? noun : `${noun}s`} ${isAre(are.length)} ${state}: ${names(are, scene)}.`
  if (asked.first === 'which' || asked.first === 'what' || asked.first === 'where')
    return are.length === 0 ? `None is ${state}.` : `${names(are, scene)} ${isAre(are.length)} ${state}.`
  const [only] = [...are, ...not]
  if (are.length + not.length === 1 && only) return `${are.length === 1 ? 'Yes' : 'No'}, ${sentence(only)}.`
  if (not.length === 0) return `Yes, ${names(are, scene)} are ${state}.`
  if (are.length === 0) return `No, none of ${names(not, scene)} is ${state}.`
  if (asked.any) return `Yes, ${names(are, scene)} ${isAre(are.length)} ${state}.`
  const some = asked.all ? 'No' : 'Some'
  return `${some}: ${names(are, scene)} ${isAre(are.length)} ${state}, ${names(not, scene)} ${isAre(not.length)} not.`
}

/** `can the garage door be opened`: asked, not told; what it is about is said as it is now. */
function mayAnswer(asked: Asked, scene: Scene): Understanding {
  const about = { ...asked, target: asked.target.filter(({ known }) => known) }
  const found = about.target.length === 0 ? [] : meant(about, scene, () => true)
  const note = 'That sounds like a question, so nothing is changed.'
  if (found.length === 0) return no(asked, note)
  const parts = found.slice(0, 6).map((entity) => silence(entity) ?? sentence(entity))
  return yes(asked, 'state', `${note} ${parts.join(', ')}.`, found)
}

function detectAnswer(asked: Asked, classes: readonly string[], scene: Scene): Understanding {
  const fits = (entity: Entity) =>
    entity.info.kind === 'binary_sensor' && classes.includes(entity.info.deviceClass ?? '')
  const found = meant(asked, scene, fits)
  if (found.length === 0) return no(asked, 'There is no sensor for that there.')
  const silent = found.filter((entity) => silence(entity) !== undefined)
  const on = found.filter((entity) => isIn(entity, 'detected') === true)
  const clear = found.filter((entity) => isIn(entity, 'detected') === false)
  const parts = []
  if (on.length > 0) parts.push(`Yes, ${on.map((entity) => sentence(entity)).join(', ')}.`)
  else if (clear.length > 0) parts.push(`No, ${clear.map((entity) => sentence(entity)).join(', ')}.`)
  parts.push(...silent.map((entity) => `${silence(entity)}.`))
  return yes(asked, 'detected', parts.join(' '), found)
}

/** Values reported for one place at most once: a thermostat and its own sensor say the same. */
function measureAnswer(asked: Asked, spoken: Measure, scene: Scene): Understanding {
  const measure = spoken.name === 'temperature' && asked.setPoint ? setPoint : spoken
  const isOutside = asked.target.some(({ word }) => outside.has(stem(word)))
  const reports = (entity: Entity) => measure.read(entity) !== undefined
  const all = [...scene.live.values()]
  const weather = all.filter((entity) => entity.info.kind === 'weather' && reports(entity))
  const named = meant(asked, scene, reports)
  const indoors = asked.target.length > 0 ? named : named.filter((entity) => !weather.includes(entity))
  const told = oncePerPlace(
    indoors.length === 0 && (isOutside || asked.target.length === 0) ? weather : indoors,
  )
  if (told.length === 0) {
    const quiet = meant(asked, scene, (entity) => silence(entity) !== undefined)[0]
    if (quiet && asked.target.length > 0) return yes(asked, 'measure', `${silence(quiet)}.`, [quiet])
    const where = asked.target.map(({ word }) => word).join(' ')
    return no(asked, `Nothing${where === '' ? '' : ` for “${where}”`} reports its ${measure.name}.`)
  }
  if (told.length === 1 && told[0])
    return yes(asked, 'measure', `${subject(told[0], measure)} is ${measure.read(told[0])}.`, told)
  const parts = told.slice(0, 6).map((entity) => `${entity.info.name} ${measure.read(entity)}`)
  return yes(asked, 'measure', `${parts.join(', ')}.`, told)
}

function subject(entity: Entity, measure: Measure): string {
  const { name } = entity.info
  return name.toLowerCase().includes(measure.name) ? name : `The ${measure.name} of ${name}`
}

function oncePerPlace(entities: readonly Entity[]): Entity[] {
  const seen = new Set<string>()
  return entities.filter((entity) => {
    const key = entity.info.device?.id ?? entity.info.id
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function weatherAnswer(asked: Asked, scene: Scene): Understanding {
  const target = asked.target.filter(({ word }) => !outside.has(word))
  const found = meant({ ...asked, target }, scene, (entity) => entity.info.kind === 'weather')
  if (found.length === 0) return no(asked, 'Nothing here reports the weather.')
  const wanted = weatherWords.get(asked.weather ?? '')
  const parts = found.map((entity) => {
    const quiet = silence(entity)
    if (quiet) return quiet
    const { state } = entity.telemetry
    const said = `${entity.info.name} is ${state.replaceAll('-', ' ')}`
    if (wanted === undefined) {
      const temperature = measures.get('temperature')?.read(entity)
      return temperature === undefined ? said : `${said}, ${temperature}`
    }
    return `${wanted.includes(state) ? 'Yes' : 'No'}, ${said}`
  })
  return yes(asked, 'weather', `${parts.join('; ')}.`, found)
}

function asksList(asked: Asked, { index }: Scene): boolean {
  if (asked.target.some(({ noun }) => noun?.noun.name === 'list')) return true
  const lists = index.entities.filter((entity) => entity.info.kind === 'todo')
  return asked.target.length > 0 && bestMatches(asked.target, lists).some((match) => match.rank <= rank.full)
}

function listAnswer(asked: Asked, scene: Scene): Understanding {
  const target = asked.target.filter(({ noun }) => noun?.noun.name !== 'list')
  const found = meant({ ...asked, target }, scene, (entity) => entity.info.kind === 'todo')
  if (found.length === 0) return no(asked, 'I do not know that list.')
  if (found.length > 1)
    return {
      kind: 'question',
      reading: { intent: 'question.list', words: asked.words },
      reply: `Which list: ${names(found, scene)}?`,
      options: found.map((entity) => entity.info.name),
    }
  const [list] = found
  const items = itemsOf(list)
  const name = list?.info.name ?? ''
  if (items === undefined) return no(asked, `${name} does not report its items.`)
  const reply = items.length === 0 ? `${name} is empty.` : `On ${name}: ${items.slice(0, 20).join(', ')}.`
  return yes(asked, 'list', reply, found)
}

function describeAnswer(asked: Asked, scene: Scene): Understanding {
  if (asked.target.length === 0) return no(asked, 'I can only answer questions about this home.')
  const found = meant(asked, scene, () => true)
  if (found.length === 0) return no(asked, 'There is nothing like that here.')
  if (asked.first === 'where')
    return yes(
      asked,
      'where',
      `${found
        .slice(0, 6)
        .map((entity) => whereSentence(entity, scene))
        .join(' ')}`,
      found,
    )
  if (asked.count)
    return yes(asked, 'count', `There ${isAre(found.length)} ${found.length}: ${names(found, scene)}.`, found)
  if (asked.first !== 'what' && asked.first !== 'how' && asked.first !== 'is' && asked.first !== 'which')
    return no(asked, 'I cannot answer that.')
  const parts = found.slice(0, 6).map((entity) => silence(entity) ?? sentence(entity))
  return yes(asked, 'state', `${parts.join(', ')}.`, found)
}

function whereSentence(entity: Entity, scene: Scene): string {
  const area = scene.index.areas.find(({ id }) => id === entity.info.area)
  return area
    ? `${entity.info.name} is in ${area.name}.`
    : `${entity.info.name} is in no room that I know of.`
}
