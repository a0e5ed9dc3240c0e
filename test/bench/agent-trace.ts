/**
 * What 100 agents want of one device: tasks that arrive alone and in bursts, in three classes with deadlines, each some turns of
 * the processor, perhaps a run of a model, perhaps a text of a language model. Drawn from a seed; each way of serving gets the
 * same.
 */
import { sleep, VirtualClock } from '../../runtime/base/clock.ts'
import type { Priority } from '../../runtime/wire/infer.ts'
import { quantile } from './quantiles.ts'

export type Need = 'processor' | 'engine' | 'language'
/** Work on one thing in parts: it can be interrupted between parts, not within one. */
export interface Step {
  readonly need: Need
  readonly partMs: number
  readonly parts: number
}
export interface TraceTask {
  readonly agent: string
  readonly priority: Priority
  readonly atMs: number
  /** After its arrival. */
  readonly deadlineMs: number
  readonly steps: readonly Step[]
}

/** How many steps of each are done side by side. */
export const capacities: Readonly<Record<Need, number>> = { processor: 2, engine: 1, language: 1 }
export const workMs = ({ steps }: TraceTask) =>
  steps.reduce((sum, { partMs, parts }) => sum + partMs * parts, 0)

export const agents = 100
const everyMs = 9_000
const burst = { everyMs: 10_000, tasks: 30 }

export function traceOf(seed: number, lengthMs: number): TraceTask[] {
  const clock = new VirtualClock({ seed })
  const random = () => clock.random()
  const tasks: TraceTask[] = []
  for (let agent = 0; agent < agents; agent += 1)
    for (let atMs = after(everyMs, random); atMs < lengthMs; atMs += after(everyMs, random))
      tasks.push(taskOf(agent, atMs, random))
  for (let atMs = burst.everyMs / 2; atMs < lengthMs; atMs += burst.everyMs)
    for (let at = 0; at < burst.tasks; at += 1)
      tasks.push(taskOf(Math.floor(random() * agents), atMs + random() * 100, random))
  return tasks.sort((left, right) => left.atMs - right.atMs)
}

const after = (meanMs: number, random: () => number) => -Math.log(1 - random()) * meanMs

/** Ten agents control something, 30 have a person who waits, 60 work in the background: longer, with longer texts. */
function taskOf(agent: number, atMs: number, random: () => number): TraceTask {
  const priority: Priority = agent < 10 ? 'control' : agent < 40 ? 'interactive' : 'background'
  const turns = (): Step => ({ need: 'processor', partMs: 2 + random() * 20, parts: 1 })
  const steps = [turns()]
  if (random() < 0.4) steps.push({ need: 'engine', partMs: 40 + random() * 160, parts: 1 }, turns())
  if (priority !== 'control' && random() < 0.12) {
    // Eight tokens at 5 ms a part; a text of up to 80 tokens, in the background up to 240.
    const parts = 1 + Math.floor(random() * (priority === 'background' ? 30 : 10))
    steps.push({ need: 'language', partMs: 40, parts }, turns())
  }
  const work = steps.reduce((sum, { partMs, parts }) => sum + partMs * parts, 0)
  const slackMs = { control: 250, interactive: 1_000, background: 10_000 }[priority]
  return { agent: `agent-${agent}`, priority, atMs, deadlineMs: slackMs + 2 * work, steps }
}

/** Does one step of a task, on things that all tasks share. */
export type Serve = (task: TraceTask, step: Step) => Promise<void>

export interface Outcome {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly controlP95Ms: number
  /** Share of tasks that ended after their deadline. */
  readonly missed: number
  /** Jain's index of the agents' mean speed: work / time it took; 1 is equal. */
  readonly fairness: number
  readonly totalMs: number
}

export async function play(trace: readonly TraceTask[], clock: VirtualClock, serve: Serve): Promise<Outcome> {
  const done: { task: TraceTask; tookMs: number }[] = []
  await clock.run(() =>
    Promise.all(
      trace.map(async (task) => {
        await sleep(clock, task.atMs)
        for (const step of task.steps) await serve(task, step)
        done.push({ task, tookMs: clock.monotonicMs() - task.atMs })
      }),
    ),
  )
  const took = done.map(({ tookMs }) => tookMs)
  const control = done.filter(({ task }) => task.priority === 'control').map(({ tookMs }) => tookMs)
  const speeds = Object.values(Object.groupBy(done, ({ task }) => task.agent)).map((all = []) =>
    mean(all.map(({ task, tookMs }) => workMs(task) / tookMs)),
  )
  return {
    ...{ p50Ms: quantile(took, 0.5), p95Ms: quantile(took, 0.95), controlP95Ms: quantile(control, 0.95) },
    missed: done.filter(({ task, tookMs }) => tookMs > task.deadlineMs).length / done.length,
    fairness: mean(speeds) ** 2 / mean(speeds.map((speed) => speed ** 2)),
    totalMs: clock.monotonicMs(),
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
