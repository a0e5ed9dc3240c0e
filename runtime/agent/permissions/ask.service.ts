/**
 * `ask`: a question of an agent to the people of the home, answered with one of its choices. What is shown is the agent's own words as
 * one line of plain text; the answer goes to the agent alone.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import { choicesMax } from '../../wire/approvals.ts'
import { failed, type Outcome, type Service } from '../service.ts'
import { badRequest, cancelled, checkedService } from '../services/checked-service.ts'
import { deadline } from '../services/waiting.ts'
import { type Answer, ApprovalError, type Approvals, approvalIdOf, plainLine } from './approvals.ts'

export interface AskDeps {
  readonly clock: Clock
  readonly approvals: Pick<Approvals, 'ask'>
}

export const askLimits = {
  questionCharsMax: 400,
  choiceCharsMax: 40,
  /** Question and choices: all that wait on a device fit into what it tells of its agents (`wire/agents-now.ts`), with room for these. */
  bytesMax: 1_400,
  withinMsDefault: 600_000,
  withinMsMax: 86_400_000,
} as const

const line = (most: number) =>
  v.pipe(
    v.string(),
    v.transform(plainLine),
    v.minLength(1, 'is empty'),
    v.maxLength(most, `has more than ${most} characters`),
  )
const schema = v.pipe(
  v.object({
    question: line(askLimits.questionCharsMax),
    choices: v.optional(
      v.pipe(
        v.array(line(askLimits.choiceCharsMax)),
        v.minLength(2, 'needs two choices'),
        v.maxLength(choicesMax, `has more than ${choicesMax} choices`),
        v.check((all) => new Set(all).size === all.length, 'has a choice twice'),
      ),
      ['yes', 'no'],
    ),
    deadlineMs: deadline,
  }),
  v.check(
    ({ question, choices }) => Buffer.byteLength(JSON.stringify([question, choices])) <= askLimits.bytesMax,
    `the question and its choices have more than ${askLimits.bytesMax} bytes`,
  ),
)

export function askService({ clock, approvals }: AskDeps): Service {
  return checkedService('ask', schema, async (args, { caller, call, askedMs }, signal) => {
    const { question: words, choices, deadlineMs } = args
    const { withinMsDefault, withinMsMax } = askLimits
    // Of the agent's clock; where the device's was set back since, it waits no longer than it may.
    const untilMs = Math.min(deadlineMs ?? askedMs + withinMsDefault, askedMs + withinMsMax)
    const expiresMs = Math.min(untilMs, clock.nowMs() + withinMsMax)
    // A tool of a thought has an id with a fraction, and its own question.
    const id = approvalIdOf(caller.agent, { id: call.id, askedMs })
    const agent = caller.agent
    const question = { id, agent, kind: 'question' as const, words, choices, askedMs, expiresMs }
    try {
      return outcomeOf(await approvals.ask(question, signal))
    } catch (error) {
      if (!(error instanceof ApprovalError)) throw error
      return error.code === 'limit'
        ? failed('limit', `ask: ${error.message}`)
        : badRequest('ask', error.message)
    }
  })
}

function outcomeOf(answer: Answer): Outcome {
  if (answer.state === 'answered') return { ok: true, value: answer.answer, privacy: 'site' }
  if (answer.state === 'expired') return failed('timeout', 'ask: nobody answered in time')
  return cancelled('ask')
}
