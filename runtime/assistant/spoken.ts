/**
 * One thing that somebody said, until what came of it is told: what it means, the commands given for it, each step an event of the
 * timeline. Whoever gives the commands, it is judged here by what was seen.
 *
 * Invariants: [assistant-1] `done` only when every command was verified, or nothing could and that is said; [assistant-3] what was said
 * is passed on to the timeline, never to a log; [assistant-5] a command is given once, by whoever gives it, and only one that was
 * understood from what was said.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../base/clock.ts'
import type { Actuation, ActuationRequest } from '../things/actuation.ts'
import type { EntityRegistry } from '../things/registry.ts'
import type { Understanding, UnderstandingContext } from '../understanding/understanding.ts'
import { wireLimits } from '../wire/limits.ts'
import type { CommandEvent, CommandReport, SayResult } from '../wire/messages.ts'

export interface SayOptions {
  /** Area id or name where the speaker is. */
  readonly area?: string
  readonly principal: string
  /** It came over the network, not from somebody at the device. */
  readonly viaNetwork?: boolean
  /** Monotonic time at which speech ended, where the text was heard. Default: now. */
  readonly spokenAtMs?: number
  /** Whoever asked waits no longer than this, milliseconds. */
  readonly withinMs?: number | undefined
}

export interface SpokenDeps {
  readonly clock: Clock
  readonly registry: EntityRegistry
  readonly actuation: Pick<Actuation, 'run' | 'recheck'>
  readonly understand: (
    text: string,
    home: ReturnType<EntityRegistry['view']>,
    context: UnderstandingContext,
  ) => Understanding
  readonly onEvent: (event: CommandEvent) => void
}

type Step = Omit<CommandEvent, 'v' | 'id' | 'run' | 'sinceMs' | 'ts'>
type Timeline = (fields: Step) => void
/** A command that was understood; given as soon as `report` is there. */
interface Planned {
  readonly entity: string
  readonly command: CommandReport['command']
  report?: Promise<CommandReport>
}

/** What is told in the end, where it is not what was understood and seen that tells it. */
export interface Told {
  readonly outcome?: SayResult['outcome'] | undefined
  /** Instead of the device's own words; where commands were understood, only if all of them were seen to be done. */
  readonly reply?: string | undefined
  /** Why a command that was understood was not given, by its place. */
  readonly missed?: ReadonlyMap<number, string>
}

export class Spoken {
  readonly id: string
  readonly text: string
  readonly options: SayOptions
  readonly #deps: SpokenDeps
  readonly #startMs: number
  readonly #step: Timeline
  #understood: Understanding | undefined
  #planned: readonly Planned[] = []

  constructor(deps: SpokenDeps, text: string, options: SayOptions) {
    const { clock } = deps
    this.#deps = deps
    this.id = clock.newId()
    this.text = text
    this.options = options
    this.#startMs = options.spokenAtMs ?? clock.monotonicMs()
    this.#step = timelineOf(deps, this.id, this.#startMs)
    this.#step({ stage: 'heard', text: shorten(text) })
  }

  /** What it means in this home now, `text` being how whoever carries it out puts it. Once: what was given is of one understanding. */
  understand(text = this.text): Understanding | undefined {
    if (this.#understood) return undefined
    const { registry, clock, understand } = this.#deps
    const view = registry.view()
    const area = findArea(view.areas, this.options.area)
    const understood = understand(text, view, { nowMs: clock.nowMs(), ...(area ? { area } : {}) })
    this.#understood = understood
    if (understood.kind === 'commands')
      this.#planned = understood.commands.map(({ entity, command }) => ({
        ...{ entity, command: command as unknown as CommandReport['command'] },
      }))
    this.#step({ stage: 'understood', reading: understood.reading })
    return understood
  }

  /** Gives every command that was understood: different entities at once, one entity in the order of what was said. */
  async commandAll(signal: AbortSignal): Promise<void> {
    const { principal, viaNetwork = false } = this.options
    const last = new Map<string, Promise<CommandReport>>()
    for (const planned of this.#planned) {
      const { entity, command } = planned
      const before = last.get(entity) ?? Promise.resolve(undefined)
      planned.report = before.then(() =>
        commanded(this.#deps, { entity, command, principal, viaNetwork }, this.#step, signal),
      )
      last.set(entity, planned.report)
    }
    await Promise.all(last.values())
  }

  /** Gives one of the commands, as the speaker's own. One that was not understood, or was given before, is refused. */
  run(request: ActuationRequest, signal: AbortSignal): Promise<CommandReport> {
    const planned = this.#planned.find(
      ({ entity, command, report }) =>
        !report && entity === request.entity && isDeepStrictEqual(command, request.command),
    )
    if (!planned) return Promise.resolve(refusal(request, 'it was not asked for, or was given already'))
    const { principal, viaNetwork = false } = this.options
    const asked = { ...request, onBehalfOf: { principal, viaNetwork } }
    planned.report = commanded(this.#deps, asked, this.#step, signal)
    return planned.report
  }

  /** Ends it, by what was seen. */
  async tell({ outcome, reply, missed = new Map() }: Told = {}): Promise<SayResult> {
    const { clock, registry } = this.#deps
    const understood = this.#understood
    const commands = await Promise.all(
      this.#planned.map((planned, at) => this.#reportOf(planned, missed.get(at))),
    )
    const ended = this.#outcome(commands, outcome)
    const nameOf = (id: string) => registry.get(id)?.info.name ?? id
    const promised = understood?.reply ?? 'The assistant gave no answer.'
    const isSeen = commands.every((report) => report.outcome === 'done' && !isUnproven(report))
    const own = isSeen || ended === 'uncertain' ? reply : undefined
    const words = own ?? (commands.length > 0 ? replyFor(commands, promised, nameOf) : promised)
    const isTold = understood?.kind === 'commands' && ended !== 'uncertain'
    this.#step({ stage: isTold ? 'answered' : stageOf[ended], text: words })
    const options = understood?.kind === 'question' && ended === 'question' ? understood.options : []
    return {
      ...{ outcome: ended, transcript: shorten(this.text), reply: words, commands },
      latencyMs: since(clock, this.#startMs),
      ...(understood && { reading: understood.reading }),
      ...(options.length > 0 && { options: [...options] }),
    }
  }

  /** Ends it where nobody can tell what became of it: commands that were given are told as they ended, and none is given again. */
  async tellUncertain(why: string): Promise<SayResult> {
    this.#planned = this.#planned.filter(({ report }) => report)
    const reports = await Promise.all(this.#planned.map(({ report }) => report))
    const done = reports.filter((report) => report?.outcome === 'done').length
    const given =
      reports.length === 0 ? 'no command was seen' : `${done} of ${reports.length} commands are done`
    const reply = `Nobody can tell what became of it: ${why}; ${given}. It is not tried again by itself.`
    return await this.tell({ outcome: 'uncertain', reply })
  }

  async #reportOf(
    { report, ...planned }: Planned,
    why = 'the assistant did not ask for it',
  ): Promise<CommandReport> {
    if (report) return await report
    const refused = refusal(planned, why)
    this.#step({ stage: 'refused', ...planned, evidence: refused.evidence })
    return refused
  }

  #outcome(commands: readonly CommandReport[], told: Told['outcome']): SayResult['outcome'] {
    const kind = this.#understood?.kind
    if (kind === 'commands' && told !== 'uncertain') return overall(commands)
    return told ?? (kind === undefined || kind === 'commands' ? 'failed' : meant[kind])
  }
}

const meant = { answer: 'done', question: 'question', refusal: 'refused' } as const
/** How it ends where nothing was commanded. */
const stageOf = {
  done: 'answered',
  question: 'asked',
  refused: 'refused',
  failed: 'failed',
  uncertain: 'failed',
} as const

/** Starts a run: every step of it carries its id and the time since `startMs`. */
export function timelineOf(
  { clock, onEvent }: Pick<SpokenDeps, 'clock' | 'onEvent'>,
  run: string,
  startMs: number,
): Timeline {
  return (fields) =>
    onEvent({ v: 1, id: clock.newId(), run, sinceMs: since(clock, startMs), ts: clock.nowMs(), ...fields })
}

/** Commands, verifies, and tells both. */
export async function commanded(
  { actuation }: Pick<SpokenDeps, 'actuation'>,
  request: ActuationRequest,
  step: Timeline,
  signal: AbortSignal,
): Promise<CommandReport> {
  const about = { entity: request.entity, command: request.command as CommandReport['command'] }
  const onSent = () => step({ stage: 'sent', ...about })
  const report = await actuation.run({ ...request, onSent }, signal)
  const proven = isUnproven(report) ? 'taken' : 'verified'
  step({ stage: report.outcome === 'done' ? proven : report.outcome, ...about, evidence: report.evidence })
  return report
}

function refusal(
  { entity, command }: Pick<ActuationRequest, 'entity' | 'command'>,
  reason: string,
): CommandReport {
  return {
    ...{ entity, command: command as CommandReport['command'], outcome: 'refused', latencyMs: 0 },
    evidence: { expected: 'nothing: the command was refused', attempts: 0, reason },
  }
}

function since(clock: Clock, startMs: number): number {
  return Math.round((clock.monotonicMs() - startMs) * 10) / 10
}

function overall(reports: readonly CommandReport[]): SayResult['outcome'] {
  if (reports.some((report) => report.outcome === 'failed')) return 'failed'
  if (reports.some((report) => report.outcome === 'refused')) return 'refused'
  return 'done'
}

function isUnproven(report: CommandReport): boolean {
  return report.evidence.unproven === true
}

/** Nothing is claimed of what no telemetry can show. */
function unprovenReply(reports: readonly CommandReport[], nameOf: (id: string) => string): string {
  const names = [...new Set(reports.filter(isUnproven).map((report) => nameOf(report.entity)))]
  const proven = reports.length - reports.filter(isUnproven).length
  const rest = proven > 0 ? ` ${proven} of ${reports.length} commands are verified.` : ''
  return `${names.join(' and ')} took the command; whether it was carried out is not reported.${rest}`
}

/** Says what was promised only when all of it was seen; otherwise which things did not do it, and what was seen. */
function replyFor(
  reports: readonly CommandReport[],
  promised: string,
  nameOf: (id: string) => string,
): string {
  const missed = reports.filter((report) => report.outcome !== 'done')
  if (missed.length === 0) return reports.some(isUnproven) ? unprovenReply(reports, nameOf) : promised
  const lines = missed.slice(0, 3).map((report) => {
    const reason = report.evidence.reason ?? 'no reason was given'
    return report.outcome === 'refused'
      ? `${nameOf(report.entity)} cannot do that: ${reason}.`
      : `${nameOf(report.entity)} did not do it: ${reason}.`
  })
  if (missed.length > 3) lines.push(`${missed.length - 3} more did not either.`)
  const done = reports.length - missed.length
  if (done > 0) lines.unshift(`${done} of ${reports.length} done.`)
  return lines.join(' ')
}

function findArea(
  areas: readonly { id: string; name: string }[],
  wanted: string | undefined,
): string | undefined {
  if (wanted === undefined) return undefined
  const folded = wanted.toLowerCase()
  return areas.find((area) => area.id === wanted || area.name.toLowerCase() === folded)?.id
}

/** The timeline carries what can be read at a glance; an absurdly long text is refused by understanding anyway. */
function shorten(text: string): string {
  return text.length <= wireLimits.utteranceCharsMax
    ? text
    : `${text.slice(0, wireLimits.utteranceCharsMax)}…`
}
