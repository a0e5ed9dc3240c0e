/** One clause to commands: the rules that its slots allow, the entities that its words mean, one command each. */
import { choose, chooseEvery, tryRule } from './choose.ts'
import { type Clause, hasAct } from './clause.ts'
import type { EntityWords } from './home-index.ts'
import { rules } from './intents/index.ts'
import type { Rule } from './intents/rule.ts'
import { ask, type Chosen, type Interpretation, refuse, type Scene, type Step } from './interpretation.ts'
import { tell, unknownWords } from './resolve.ts'
import { type SlotName, slotNames } from './slots.ts'
import type { TargetWord } from './tag.ts'
import { listed, notKnown, which } from './wording.ts'

const stopReplies = {
  not: 'I only do what I am asked to do, so nothing is changed.',
  except: 'I cannot leave things out or choose between them yet; name what shall change.',
  later: 'I cannot do things later or on a condition yet, only now.',
  statement: 'That sounds like a remark and not like something to do, so nothing is changed.',
  conflict: 'That asks for two different things at once.',
} as const

/** What the parts around a clause say. */
export interface Neighbours {
  /** Words of parts that do the same, from which a missing noun or area may be borrowed. */
  readonly words: readonly TargetWord[]
  /** Words of the place at the end of the last part: `… and close the blinds in the bedroom`. */
  readonly lastPlace: readonly TargetWord[]
  /** Area of what the part before was about. */
  readonly area: string | undefined
}

/** Reads one clause; `others` is what is said around it. */
export function interpret(clause: Clause, scene: Scene, others: Neighbours): Interpretation {
  if (clause.stop) return refuse(`${stopReplies[clause.stop.kind]} (“${clause.stop.phrase}”)`)
  const unknown = unknownWords(clause.target)
  if (unknown.length > 0) return notKnown(unknown, scene)
  if (!hasAct(clause)) return ask(`What should I do with “${clause.text}”?`, [])
  const fitting = rules.filter((rule) => fits(rule, clause))
  if (fitting.length === 0) return refuse(`I do not know how to do that: “${clause.text}”.`)
  const found = chooseWithPlace(clause, fitting, scene, others)
  if ('chosen' in found) return act(clause, found.chosen, fitting, scene)
  return retry(clause, fitting, scene, others) ?? found
}

/** `in there` is where the thing before is; a place said for all parts holds unless a part names its own. */
function chooseWithPlace(
  clause: Clause,
  fitting: readonly Rule[],
  scene: Scene,
  { area }: Neighbours,
): Chosen {
  if (clause.there && area !== undefined)
    return chooseAll({ ...clause, here: true }, fitting, { ...scene, context: { ...scene.context, area } })
  const { place } = clause
  const own = new Set(clause.target.map(({ word }) => word))
  if (place === undefined || place.every(({ word }) => own.has(word)))
    return chooseAll(clause, fitting, scene)
  const found = chooseAll({ ...clause, target: [...clause.target, ...place] }, fitting, scene)
  const named = clause.target.some(({ bound }) => bound) || clause.home
  return 'chosen' in found || !named ? found : chooseAll(clause, fitting, scene)
}

/** `everything off` turns off what can safely be off: lights, fans, plugs and players; else `everything` is the lights. */
const safelyOff = ['light', 'fan', 'switch', 'media_player'] as const

function chooseAll(clause: Clause, fitting: readonly Rule[], scene: Scene): Chosen {
  const { slots } = clause
  const off =
    clause.everything && slots.state === 'off' && slotNames.every((name) => name === 'state' || !slots[name])
  if (!off) return without(clause, choose(clause, fitting, scene), fitting, scene)
  const chosen = safelyOff.flatMap((kind) => {
    const rules = fitting.filter((rule) => rule.kind === kind)
    const found = rules.length === 0 ? undefined : chooseEvery(clause, rules, kind, scene)
    return found && 'chosen' in found ? found.chosen : []
  })
  if (chosen.length === 0) return choose(clause, fitting, scene)
  return without(clause, { chosen }, fitting, scene)
}

/** What was meant, less what was left out. What shall be left out must be there. */
function without(clause: Clause, found: Chosen, fitting: readonly Rule[], scene: Scene): Chosen {
  if (clause.except.length === 0) return found
  const all = 'chosen' in found ? found : choose({ ...clause, all: true }, fitting, scene)
  if (!('chosen' in all)) return all
  const noun = clause.target.filter((word) => word.noun && !word.bound)
  const kept = new Set<EntityWords>()
  for (const part of clause.except) {
    const unknown = unknownWords(part.target)
    if (unknown.length > 0) return refuse(`I do not know “${unknown.join(' ')}” here, so nothing is changed.`)
    const out = leftOut({ ...part, slots: clause.slots, all: true }, noun, fitting, scene)
    if (!('chosen' in out)) return out
    for (const entity of out.chosen) kept.add(entity)
  }
  const chosen = all.chosen.filter((entity) => !kept.has(entity))
  return chosen.length > 0 ? { chosen } : refuse('Then nothing is left to change.')
}

function leftOut(part: Clause, noun: readonly TargetWord[], fitting: readonly Rule[], scene: Scene): Chosen {
  const alone = choose(part, fitting, scene)
  if ('chosen' in alone || noun.length === 0 || part.target.length === 0) return alone
  const beside = choose({ ...part, target: [...part.target, ...noun] }, fitting, scene)
  return 'chosen' in beside ? beside : alone
}

function fits(rule: Rule, clause: Clause): boolean {
  const filled = slotNames.filter((name: SlotName) => clause.slots[name] !== undefined)
  return filled.every((name) => rule.uses.includes(name)) && rule.when(clause.slots)
}

/** `the kitchen and bedroom fans`: the first part has no noun of its own. */
function retry(
  clause: Clause,
  fitting: readonly Rule[],
  scene: Scene,
  { words, lastPlace }: Neighbours,
): Interpretation | undefined {
  // `turn on the lamp and set the temperature to 21`: said of nothing, it is about what it is about.
  if (clause.borrowed && !clause.it) {
    const alone = chooseAll({ ...clause, target: [] }, fitting, scene)
    if ('chosen' in alone) return act(clause, alone.chosen, fitting, scene)
  }
  const own = new Set(clause.target.map(({ word }) => word))
  if (lastPlace.length > 0 && clause.target.length > 0 && !clause.target.some(({ bound }) => bound)) {
    const there = chooseAll({ ...clause, target: [...clause.target, ...lastPlace] }, fitting, scene)
    if ('chosen' in there) return act(clause, there.chosen, fitting, scene)
  }
  const extra = words.filter(({ word }) => !own.has(word))
  const places = extra.filter(({ noun }) => noun === undefined)
  const borrowable = clause.target.some(({ noun }) => noun) ? places : extra.filter(({ noun }) => noun)
  if (borrowable.length === 0 || clause.target.length === 0) return undefined
  const found = choose({ ...clause, target: [...clause.target, ...borrowable] }, fitting, scene)
  return 'chosen' in found ? act(clause, found.chosen, fitting, scene) : undefined
}

function act(
  clause: Clause,
  chosen: readonly EntityWords[],
  fitting: readonly Rule[],
  scene: Scene,
): Interpretation {
  const many = chosen.length > 1 || clause.all || clause.home
  const closedTo = chosen.filter((entity) => isGuarded(entity, fitting, scene))
  if (many && closedTo.length > 0) {
    const harmless = chosen.filter((entity) => !closedTo.includes(entity))
    return harmless.length === 0 || saysWayIn(clause)
      ? which(clause, chosen)
      : act(clause, harmless, fitting, scene)
  }
  const unsure =
    clause.doubt ||
    chosen.some((entity) => isOther(clause, entity)) ||
    clause.target.some(({ corrected }) => corrected)
  if (unsure && chosen.some((entity) => isGuarded(entity, fitting, scene))) {
    const options = chosen.map((entity) => tell(entity, chosen))
    return ask(`Do you mean ${listed(options)}?`, options)
  }
  const steps: Step[] = []
  let reason: string | undefined
  for (const entity of chosen) {
    const done = tryRule(entity, clause, fitting, scene)
    if (done === undefined) continue
    if ('command' in done.act)
      steps.push({
        entity: entity.info.id,
        command: done.act.command,
        effect: done.act.effect,
        intent: done.rule.intent,
      })
    else reason ??= done.act.impossible
  }
  if (steps.length === 0) return refuse(`${reason ?? 'Nothing there can do that'}.`)
  const places = new Set(chosen.map((entity) => entity.area?.name))
  return { kind: 'steps', steps, place: places.size === 1 ? [...places][0] : undefined }
}

const waysIn = new Set(['door', 'garage door', 'gate'])

/** `open all covers` opens no door; `open all doors` asks which. */
function saysWayIn({ target }: Clause): boolean {
  return target.some(({ noun }) => noun !== undefined && waysIn.has(noun.noun.name))
}

/** `the garage door` where the only door of that kind is the barn's. */
function isOther({ target }: Clause, { nameWords, areaStems }: EntityWords): boolean {
  return target.some(({ word }) => word === 'garage' && !nameWords.has(word) && !areaStems.has(word))
}

/** Whether a way into the house would open. */
function isGuarded(entity: EntityWords, fitting: readonly Rule[], scene: Scene): boolean {
  const live = scene.live.get(entity.info.id)
  const rule = fitting.find((candidate) => candidate.kind === entity.info.kind)
  return live !== undefined && (rule?.several === 'never' || rule?.guards?.(live) === true)
}
