/** `ganglion why [ID]`: where a device had models run, and why there. */
import type { Decision, DecisionAttempt, DecisionCandidate, WhyResult } from '../../wire/decisions.ts'
import type { ServedBy } from '../../wire/infer.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import { onlyDevice } from '../only-device.ts'
import { milliseconds, type Terminal } from '../terminal.ts'

export interface WhyOptions {
  readonly url?: string
  readonly device?: string
}

export async function why(id: string | undefined, options: WhyOptions, context: Context): Promise<number> {
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  const path = `/api/devices/${encodeURIComponent(device)}/decisions`
  const { decisions } = await hub.get<WhyResult>(
    id === undefined ? path : `${path}/${encodeURIComponent(id)}`,
  )
  const { terminal } = context
  if (terminal.json) terminal.out(JSON.stringify({ device, decisions }))
  else if (id === undefined) printList(decisions, terminal)
  else for (const decision of decisions) for (const line of lines(decision, terminal)) terminal.out(line)
  return 0
}

function printList(decisions: readonly Decision[], terminal: Terminal): void {
  if (decisions.length === 0) terminal.out('no model was asked anything since the device started')
  for (const decision of decisions) {
    const time = new Date(decision.ts).toLocaleTimeString('en-GB')
    const model = decision.model.padEnd(20)
    terminal.out(
      `${terminal.style('dim', time)}  ${terminal.style('dim', decision.id.slice(0, 8))}  ${model}  ${inShort(decision, terminal)}`,
    )
  }
  if (decisions.length > 0) terminal.note(terminal.style('dim', 'ganglion why ID says more of one'))
}

/** A decision for a person who is tired: what happened first, then why, then what else was looked at. */
export function lines(decision: Decision, terminal: Pick<Terminal, 'style'>): string[] {
  const { model, privacy, priority, deadlineMs, bytes, conditions, candidates, attempts, notes } = decision
  const chosen = candidates.find(({ route }) => route === decision.route)
  const others = candidates.filter((one) => one !== chosen)
  return [
    `${terminal.style('bold', model)}: ${resultOf(decision, terminal)}`,
    `  asked ${new Date(decision.ts).toLocaleString('en-GB')}: ${size(bytes)}, ${priority}, wanted within ${milliseconds(deadlineMs)}, ${labels[privacy]}`,
    ...(conditions.length > 0 ? [`  the device: ${conditions.join('; ')}`] : []),
    decision.route === undefined
      ? `  sent nowhere: ${decision.reason}`
      : `  sent to ${decision.route} first: ${decision.reason}`,
    ...(chosen ? [`    ${expectation(chosen)}`] : []),
    ...(decision.result?.served ? [`  the gateway: ${servedLine(decision.result.served)}`] : []),
    ...(others.length > 0
      ? ['  also looked at:', ...others.map((one) => `    ${one.route}: ${expectation(one)}`)]
      : []),
    ...(attempts.length > 1 || attempts.some(({ outcome }) => outcome !== 'answered')
      ? ['  what happened:', ...attempts.map((one) => `    ${attemptLine(one)}`)]
      : []),
    ...notes.map((note) => `  ${note}`),
  ]
}

const labels = {
  device: 'may not leave this device',
  site: 'may not leave this site',
  cloud: 'may go anywhere that the configuration allows',
} as const

function resultOf({ result }: Decision, terminal: Pick<Terminal, 'style'>): string {
  if (!result) return terminal.style('cyan', 'under way')
  if (!result.ok) return terminal.style('red', `no answer (${result.error?.code}): ${result.error?.message}`)
  return `${terminal.style('green', 'answered')} by ${result.route} after ${milliseconds(result.latencyMs)}`
}

function inShort(decision: Decision, terminal: Pick<Terminal, 'style'>): string {
  if (decision.result?.ok !== false) return resultOf(decision, terminal)
  return terminal.style('red', `no answer (${decision.result.error?.code})`)
}

/** What the gateway did with it. */
function servedLine({ backend, failed, cached, queueMs, runMs }: ServedBy): string {
  if (cached) return `kept from an earlier request with the same inputs, answered by ${backend} then`
  const before = failed.map((one) => `${one.backend} gave no answer (${one.code})`)
  const took = `${backend} answered in ${milliseconds(runMs)}, after ${milliseconds(queueMs)} of waiting`
  return [...before, took].join('; ')
}

function expectation(one: DecisionCandidate): string {
  if (one.whyNot !== undefined) return one.whyNot
  const parts = [
    one.queueMs ? `${milliseconds(one.queueMs)} waiting` : [],
    one.loadMs ? `${milliseconds(one.loadMs)} loading` : [],
    one.transferMs && one.transferMs >= 1 ? `${milliseconds(one.transferMs)} on the way` : [],
  ].flat()
  const of = parts.length > 0 ? `, of it ${parts.join(', ')}` : ''
  const extras = [
    one.energyJ ? `${one.energyJ.toFixed(2)} J` : [],
    one.price ? `price ${one.price}` : [],
    one.score === undefined ? [] : `counted as ${milliseconds(one.score)}`,
  ].flat()
  return `${milliseconds(one.p50Ms ?? 0)} expected, ${milliseconds(one.p95Ms ?? 0)} for 95 of 100${of}; ${[...extras, bases[one.basis ?? 'guessed']].join(', ')}`
}

const bases = {
  measured: 'as measured lately',
  advertised: 'as it says itself',
  guessed: 'a guess, it was never asked',
} as const

function attemptLine({ route, kind, startMs, endMs, outcome, error }: DecisionAttempt): string {
  const took = endMs === undefined ? '' : ` after ${milliseconds(endMs - startMs)}`
  const what = error ? `${outcome} (${error.code}): ${error.message}` : outcome
  return `${milliseconds(startMs).padStart(7)}  ${route} ${kinds[kind]}: ${what}${took}`
}

const kinds = {
  first: 'was asked',
  fallback: 'was asked next',
  hedge: 'was asked as well',
  probe: 'was asked with a copy, to learn how it is there',
} as const

function size(bytes: number): string {
  return bytes < 10_000 ? `${bytes} bytes` : `${(bytes / 1000).toFixed(0)} kB`
}
