/**
 * `ctx.tasks`: a graph of tasks, each begun as soon as all it comes after have ended. It runs inside the machine, before the agent.
 *
 * Each try of a task has a context of its own. What is under way through that is cancelled when the try fails or takes too long, when
 * another task has failed, and when the program gives all of them up.
 */
import type { Context, Json, Task, Tasks, TasksOptions } from '../contract.ts'
import {
  Cancelled,
  call,
  deadlineIn,
  endScope,
  refuseOver,
  type Scope,
  scopeIn,
  urge,
} from './guest-calls.ts'
import {
  failure,
  given,
  isRecord,
  isText,
  kindOf,
  millis,
  taskShapes,
  tasksShapes,
  textOf,
  wrongOf,
} from './guest-checks.ts'

const { create, hasOwn, keys } = Object
const { now } = Date
const tasksMax = 256

type Graph = { readonly [name: string]: Task }
type ContextIn = (scope: Scope) => Context

export function tasksIn(parent: Scope, contextIn: ContextIn): Context['tasks'] {
  return (graph, options) => {
    const { result, cancel } = begin(
      parent,
      'the tasks',
      () => checkedOptions(options),
      (scope) => run(graph, options, scope, contextIn),
    )
    const tasks = result as Tasks
    tasks.cancel = (why) => cancel(new Cancelled(isText(why) ? `${why}` : 'the tasks were cancelled'))
    return tasks
  }
}

interface Work<T> {
  readonly result: Promise<T>
  cancel(error: unknown): void
}

/** Work in a scope of its own, which ends when the work fails, takes longer than `within`, or is cancelled. */
function begin<T>(
  parent: Scope,
  what: string,
  bounds: () => Pick<Task, 'within' | 'priority'>,
  work: (scope: Scope) => Promise<T> | T,
): Work<T> {
  const scope = scopeIn(parent)
  let stop: (error: unknown) => void = () => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = reject
  })
  // It is heard where the work is raced with it, or nowhere.
  stopped.catch(() => {})
  const cancel = (error: unknown) => {
    endScope(scope, `${what} ended: ${textOf(error)}`)
    stop(error)
  }
  const result = async () => {
    let over = () => {}
    try {
      refuseOver(parent)
      const { within, priority } = bounds()
      const ms = within === undefined ? undefined : millis(within)
      const dueMs = ms === undefined ? undefined : now() + ms
      urge(scope, priority, dueMs)
      const late = (error: unknown) =>
        cancel(error ?? failure('timeout', `${what} took longer than ${ms} ms`))
      if (dueMs !== undefined) over = deadlineIn(parent, dueMs, late)
      return await Promise.race([work(scope), stopped])
    } catch (error) {
      cancel(error)
      throw error
    } finally {
      over()
    }
  }
  return { result: result(), cancel }
}

async function run(
  graph: Graph,
  { failFast = true }: TasksOptions = {},
  scope: Scope,
  contextIn: ContextIn,
): Promise<{ [task: string]: Json }> {
  const order = ordered(graph)
  const started: Record<string, Promise<void>> = create(null)
  const results: { [task: string]: Json } = create(null)
  const attempt = async (name: string, task: Task): Promise<void> => {
    const { retry, after = [] } = task
    await Promise.all(after.map((before) => started[before]))
    const waitMs = millis(retry?.wait ?? '1s')
    for (let left = retry?.times ?? 0; ; left -= 1) {
      try {
        const does = (own: Scope) => task.run(results, contextIn(own))
        results[name] = (await begin(scope, `task ${name}`, () => task, does).result) ?? null
        return
      } catch (error) {
        if (left <= 0) throw error
        await call(scope, 'sleep', () => ({ atMs: now() + waitMs }))
      }
    }
  }
  const all = order.map((name) => {
    started[name] = attempt(name, graph[name] as Task)
    return started[name]
  })
  // Of several failures it has the first in time.
  const whole = Promise.all(all)
  whole.catch(() => {})
  if (!failFast) await Promise.allSettled(all)
  await whole
  return results
}

/** Names of the tasks, each behind all it comes after. */
function ordered(graph: Graph): readonly string[] {
  if (!isRecord(graph)) throw failure('bad-request', `tasks are an object of tasks, not ${kindOf(graph)}`)
  const names = keys(graph)
  if (names.length > tasksMax)
    throw failure('limit', `tasks: ${names.length} are more than the ${tasksMax} that one graph may have`)
  const order: string[] = []
  const state: Record<string, 'open' | 'done'> = create(null)
  const visit = (name: string, path: readonly string[]): void => {
    if (state[name] === 'done') return
    const way = [...path, name]
    if (state[name] === 'open') throw failure('cyclic', `tasks wait for each other: ${way.join(' → ')}`)
    if (!hasOwn(graph, name))
      throw failure('bad-request', `there is no task ${name}; ${path.at(-1)} comes after it`)
    const task = checked(name, graph[name])
    state[name] = 'open'
    for (const before of task.after ?? []) visit(before, way)
    state[name] = 'done'
    order[order.length] = name
  }
  for (const name of names) visit(name, [])
  return order
}

function checked(name: string, task: unknown): Task {
  const wrong = isRecord(task) ? wrongOf(task, taskShapes) : `it is ${kindOf(task)}, not an object`
  if (wrong !== undefined) throw failure('bad-request', `task ${name}: ${wrong}`)
  return task as never
}

function checkedOptions(options: TasksOptions | undefined): TasksOptions {
  const wrong = wrongOf(given(options) as Record<string, unknown>, tasksShapes)
  if (wrong !== undefined) throw failure('bad-request', `tasks: ${wrong}`)
  return options ?? {}
}
