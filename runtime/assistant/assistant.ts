/**
 * The assistant: from what was said to what telemetry shows. What is said is given to the agent `assistant` where one is installed; else
 * it is understood, commanded and verified here. Each step is an event of the timeline.
 *
 * Invariants: [assistant-1] `done` only when every command was verified, or nothing could and that is said; [assistant-2] a question or a
 * refusal moves nothing; [assistant-3] what was said is passed on to the timeline, never to a log.
 */
import type { ActuationRequest } from '../things/actuation.ts'
import type { CommandReport, SayResult } from '../wire/messages.ts'
import { commanded, type SayOptions, Spoken, type SpokenDeps, timelineOf } from './spoken.ts'

export interface AssistantDeps extends SpokenDeps {
  /** Gives it to an agent; undefined: there is none, and nothing was done. Absent: no agent ever hears it. */
  readonly toAgent?: (said: Spoken, signal: AbortSignal) => Promise<SayResult | undefined>
}

export class Assistant {
  readonly #deps: AssistantDeps

  constructor(deps: AssistantDeps) {
    this.#deps = deps
  }

  /** Does what `text` asks for. Never throws for something that a person said. */
  async say(text: string, options: SayOptions, signal: AbortSignal): Promise<SayResult> {
    const said = new Spoken(this.#deps, text, options)
    const told = await this.#deps.toAgent?.(said, signal)
    if (told) return told
    said.understand()
    await said.commandAll(signal)
    return await said.tell()
  }

  /** One command to one entity, with the same timeline. For buttons and programs. */
  async command(request: ActuationRequest, signal: AbortSignal): Promise<CommandReport> {
    const { clock } = this.#deps
    return commanded(this.#deps, request, timelineOf(this.#deps, clock.newId(), clock.monotonicMs()), signal)
  }
}
