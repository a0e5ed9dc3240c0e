/**
 * The assistant: from what was said to what telemetry shows. Understands, commands, verifies, and says so; each step is
 * an event of the timeline.
 *
 * Invariants: [assistant-1] `done` only when every command was verified, or nothing could and that is said; [assistant-2] a question or a refusal moves
 * nothing; [assistant-3] what was said is passed on to the timeline, never to a log.
 */
import type { Command } from '../../hal/contract/actuator.ts'
import type { Clock } from '../base/clock.ts'
import type { Actuation, ActuationRequest } from '../things/actuation.ts'
import type { EntityRegistry } from '../things/registry.ts'
import type { Understanding, UnderstandingContext } from '../understanding/understanding.ts'
import { wireLimits } from '../wire/limits.ts'
import type { CommandEvent, CommandReport, SayResult } from '../wire/messages.ts'

export type TimelineListener = (event: CommandEvent) => void

export interface SayOptions {
  /** Area id or name where the speaker is. */
  readonly area?: string
  readonly principal: string
  /** It came over the network, not from somebody at the device. */
  readonly viaNetwork?: boolean
  /** Monotonic time at which speech ended, where the text was heard. Default: now. */
  readonly spokenAtMs?: number
}

interface Deps {
  readonly clock: Clock
  readonly registry: EntityRegistry
  readonly actuation: Actuation
  readonly understand: (
    text: string,
    home: ReturnType<EntityRegistry['view']>,
    context: UnderstandingContext,
  ) => Understanding
  readonly onEvent: TimelineListener
}

type Step = Omit<CommandEvent, 'v' | 'id' | 'run' | 'sinceMs' | 'ts'>

export class Assistant {
  readonly #deps: Deps

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Does what `text` asks for. Never throws for something that a person said. */
  async say(text: string, options: SayOptions, signal: AbortSignal): Promise<SayResult> {
    const { clock, registry } = this.#deps
    const startMs = options.spokenAtMs ?? clock.monotonicMs()
    const step = this.#timeline(startMs)
    const transcript = shorten(text)
    step({ stage: 'heard', text: transcript })

    const view = registry.view()
    const area = findArea(view.areas, options.area)
    const understood = this.#deps.understand(text, view, { nowMs: clock.nowMs(), ...(area ? { area } : {}) })
    const { reading } = understood
    step({ stage: 'understood', reading })
    const finish = (outcome: SayResult['outcome'], reply: string, commands: CommandReport[]): SayResult => {
      step({
        stage: understood.kind === 'commands' ? 'answered' : spoken[understood.kind].stage,
        text: reply,
      })
      const options =
        understood.kind === 'question' && understood.options.length > 0
          ? { options: [...understood.options] }
          : {}
      return { outcome, transcript, reply, commands, latencyMs: since(clock, startMs), reading, ...options }
    }
    if (understood.kind !== 'commands') return finish(spoken[understood.kind].outcome, understood.reply, [])

    const reports = await this.#commandAll(understood.commands, options, step, signal)
    const nameOf = (id: string) => registry.get(id)?.info.name ?? id
    return finish(overall(reports), replyFor(reports, understood.reply, nameOf), reports)
  }

  /** One command to one entity, with the same timeline. For buttons and programs. */
  async command(request: ActuationRequest, signal: AbortSignal): Promise<CommandReport> {
    return this.#command(request, this.#timeline(this.#deps.clock.monotonicMs()), signal)
  }

  /** Starts a run: every step of it carries its id and the time since `startMs`. */
  #timeline(startMs: number): (fields: Step) => void {
    const { clock, onEvent } = this.#deps
    const run = clock.newId()
    return (fields) =>
      onEvent({ v: 1, id: clock.newId(), run, sinceMs: since(clock, startMs), ts: clock.nowMs(), ...fields })
  }

  /** Different entities at once, one entity in the order of what was said: a later command would supersede an earlier one. */
  async #commandAll(
    commands: readonly { readonly entity: string; readonly command: Command }[],
    { principal, viaNetwork = false }: SayOptions,
    step: (fields: Step) => void,
    signal: AbortSignal,
  ): Promise<CommandReport[]> {
    const last = new Map<string, Promise<CommandReport>>()
    return Promise.all(
      commands.map((command) => {
        const before = last.get(command.entity) ?? Promise.resolve(undefined)
        const report = before.then(() => this.#command({ ...command, principal, viaNetwork }, step, signal))
        last.set(command.entity, report)
        return report
      }),
    )
  }

  async #command(
    request: ActuationRequest,
    step: (fields: Step) => void,
    signal: AbortSignal,
  ): Promise<CommandReport> {
    const about = { entity: request.entity, command: request.command as CommandReport['command'] }
    const onSent = () => step({ stage: 'sent', ...about })
    const report = await this.#deps.actuation.run({ ...request, onSent }, signal)
    step({
      stage: stageOf(report),
      ...about,
      evidence: report.evidence,
    })
    return report
  }
}

function stageOf(report: CommandReport): Step['stage'] {
  if (report.outcome !== 'done') return report.outcome
  return isUnproven(report) ? 'taken' : 'verified'
}

function since(clock: Clock, startMs: number): number {
  return Math.round((clock.monotonicMs() - startMs) * 10) / 10
}

const spoken = {
  answer: { stage: 'answered', outcome: 'done' },
  question: { stage: 'asked', outcome: 'question' },
  refusal: { stage: 'refused', outcome: 'refused' },
} as const

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
