/**
 * The half of an agent's machine that runs inside it: the context that agents see, and the table of promises that wait for
 * answers. The host calls three functions: `load` with the agent's module, `take` with what happened, `drain` for what the
 * turn asks for. It calls nothing of the host: there is nothing to call.
 *
 * It runs before the agent and keeps the built-ins it needs, so that an agent that changes them changes only its own. It is
 * one file without imports (types aside): its text is part of what an image is bound to.
 */
import type {
  AgentDefinition,
  CallErrorCode,
  Context,
  Duration,
  Entity,
  Json,
  Lease,
  Task,
} from '../contract.ts'
import type { Call, CallError, CallOp, LogLine, TurnInput, TurnOutput } from '../turn.ts'

const { parse, stringify } = JSON
const { create, freeze, keys } = Object
const { isFinite: isFiniteNumber } = Number
const now = Date.now
/** As `turnLimits` has them: this file imports nothing, and a test holds the two together. */
const limits = { callsMax: 256, openCallsMax: 1_024, argsBytesMax: 64 * 1024 }

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
}
interface Stream {
  push(value: unknown): void
  end(error: unknown): void
}

const waiting: Record<number, Waiting> = create(null)
const streams: Record<number, Stream> = create(null)
let nextId = 0
let openCalls = 0
let calls: Call[] = []
let cancels: number[] = []
let log: LogLine[] = []
let end: TurnOutput['end']
let device = ''
let definition: AgentDefinition | undefined

class CallFailed extends Error {
  readonly code: CallErrorCode
  constructor({ code, message }: CallError) {
    super(message)
    this.name = 'CallFailed'
    this.code = code
  }
}

const failure = (code: CallErrorCode, message: string) => new CallFailed({ code, message })

/** Asks the host; the promise settles in a later turn, of this machine or of one restored from its image. */
async function call(op: CallOp, args: object): Promise<never> {
  const id = ask(op, args)
  return new Promise((resolve, reject) => {
    waiting[id] = { resolve: resolve as Waiting['resolve'], reject }
  })
}

/** Puts a call into the turn's output. What it was is an error where it was written, long before the host refuses it. */
function ask(op: CallOp, args: object, stream?: true): number {
  if (calls.length >= limits.callsMax || openCalls >= limits.openCallsMax)
    throw failure('limit', `${op}: too many calls wait for an answer already`)
  const text = jsonOf(op, args)
  if (text.length > limits.argsBytesMax)
    throw failure(
      'limit',
      `${op} was given ${text.length} bytes, more than the ${limits.argsBytesMax} allowed`,
    )
  nextId += 1
  openCalls += 1
  calls[calls.length] = { id: nextId, op, args: parse(text), ...(stream ? { stream } : {}) }
  return nextId
}

/** Arguments as JSON keeps them: what is undefined is left out, what JSON cannot say is an error. */
function jsonOf(op: CallOp, args: object): string {
  try {
    return stringify(args)
  } catch (error) {
    throw failure('bad-request', `${op} takes what JSON can say: ${textOf(error)}`)
  }
}

/** A stream of items. What arrives while nobody waits is kept in order; the host bounds how much. */
async function* open(op: CallOp, args: object): AsyncGenerator<never, void, undefined> {
  const id = ask(op, args, true)
  let items: unknown[] = []
  let wake: Waiting | undefined
  let over: { error: unknown } | undefined
  streams[id] = {
    push(value) {
      if (!wake) {
        items[items.length] = value
        return
      }
      const { resolve } = wake
      wake = undefined
      resolve(value)
    },
    end(error) {
      over = { error }
      wake?.reject(error)
    },
  }
  try {
    while (true) {
      if (items.length > 0) {
        const [first, ...rest] = items
        items = rest
        yield first as never
      } else if (over) {
        if (over.error === undefined) return
        throw over.error
      } else {
        yield (await new Promise((resolve, reject) => {
          wake = { resolve, reject }
        })) as never
      }
    }
  } finally {
    if (streams[id]) {
      delete streams[id]
      openCalls -= 1
      cancels[cancels.length] = id
    }
  }
}

const units: Record<string, number> = {
  __proto__: null as never,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3_600e3,
  d: 86_400e3,
}

function millis(duration: Duration): number {
  const text = `${duration}`
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? []
  const ms = amount === undefined ? Number.NaN : +amount * (units[unit ?? 'ms'] ?? Number.NaN)
  if (!isFiniteNumber(ms))
    throw failure('bad-request', `not a duration: ${text.slice(0, 40)}; write 500, '30s', '5m', '2h' or '1d'`)
  return ms
}

/** `within` as an instant: a deadline goes on counting while the machine is away. */
const deadline = (within: Duration | undefined) => (within === undefined ? undefined : now() + millis(within))

function entity(id: string): Entity {
  return freeze({
    id,
    read: () => call('read', { entity: id }),
    command: (command, options) =>
      call('command', { entity: id, command, deadlineMs: deadline(options?.within) }),
    until: (filter, options) => call('until', { entity: id, filter, deadlineMs: deadline(options?.within) }),
  } satisfies Entity)
}

function lease(name: string, token: number): Lease {
  return freeze({ name, token, release: () => call('release', { name, token }) as Promise<void> })
}

/** Runs a graph of tasks: each as soon as all it comes after have ended; the first that fails ends the wait for all. */
async function runTasks(graph: { readonly [name: string]: Task }): Promise<{ [task: string]: Json }> {
  refuseCycles(graph)
  const started: Record<string, Promise<Json>> = create(null)
  const results: { [task: string]: Json } = create(null)
  const start = (name: string): Promise<Json> => {
    started[name] ??= attempt(name, graph[name] as Task)
    return started[name]
  }
  const attempt = async (name: string, task: Task): Promise<Json> => {
    const { retry, after = [] } = task
    await Promise.all(after.map(start))
    const waitMs = millis(retry?.wait ?? '1s')
    for (let left = retry?.times ?? 0; ; left -= 1) {
      try {
        const value = (await limited(name, task, results)) ?? null
        results[name] = value
        return value
      } catch (error) {
        if (left <= 0) throw error
        await context.sleep(waitMs)
      }
    }
  }
  await Promise.all(keys(graph).map(start))
  return results
}

function limited(name: string, task: Task, results: { readonly [task: string]: Json }) {
  const work = task.run(results)
  if (task.within === undefined) return work
  const ms = millis(task.within)
  const late = context.sleep(ms).then(() => {
    throw failure('timeout', `task ${name} took longer than ${ms} ms`)
  })
  return Promise.race([work, late])
}

function refuseCycles(graph: { readonly [name: string]: Task }): void {
  const state: Record<string, 'open' | 'done'> = create(null)
  const visit = (name: string, path: readonly string[]): void => {
    if (state[name] === 'done') return
    const way = [...path, name]
    if (state[name] === 'open') throw failure('cyclic', `tasks wait for each other: ${way.join(' → ')}`)
    const task = graph[name]
    if (!task) throw failure('bad-request', `there is no task ${name}; ${path.at(-1)} comes after it`)
    state[name] = 'open'
    for (const before of task.after ?? []) visit(before, way)
    state[name] = 'done'
  }
  for (const name of keys(graph)) visit(name, [])
}

const context: Context = freeze({
  get name() {
    return definition?.name ?? ''
  },
  device: async () => device,
  on: (pattern, filter = {}) => open('on', { pattern, filter }),
  entity,
  entities: (pattern) => call('entities', { pattern }),
  sleep: (duration) => call('sleep', { atMs: now() + millis(duration) }),
  sleepUntil: (atMs) => call('sleep', { atMs }),
  every: (cron, options = {}) => open('cron', { cron, ...options }),
  infer: (model, inputs, { within, ...options } = {}) =>
    call('infer', { model, inputs, ...options, deadlineMs: deadline(within) }),
  think: (goal, { budget, ...options } = {}) =>
    call('think', {
      goal,
      ...options,
      budget: { ...budget, within: undefined },
      deadlineMs: deadline(budget?.within),
    }),
  ask: (question, { within, ...options } = {}) =>
    call('ask', { question, ...options, deadlineMs: deadline(within) }),
  call: (name, message, options) =>
    call('call', { agent: name, message, deadlineMs: deadline(options?.within) }),
  async *calls() {
    for await (const { key, from, message } of open('calls', {}) as AsyncIterable<Asked>)
      yield { from, message, reply: (answer: Json) => call('reply', { key, answer }) as Promise<void> }
  },
  tasks: runTasks,
  lease: async (name, options) => {
    const args = { name, ttlMs: millis(options?.ttl ?? '30s'), deadlineMs: deadline(options?.within) }
    const { token }: { token: number } = await call('lease', args)
    return lease(name, token)
  },
  log: (...parts) =>
    say('info', parts.map((part) => (typeof part === 'string' ? part : textOf(part))).join(' ')),
  memory: freeze({
    get: (key) => call('memory.get', { key }),
    set: (key, value, options = {}) => call('memory.set', { key, value, ...options }),
    delete: (key) => call('memory.delete', { key }),
    keys: (prefix = '') => call('memory.keys', { prefix }),
    note: (text, options = {}) => call('memory.note', { text, ...options }),
    search: (text, options = {}) => call('memory.search', { text, ...options }),
    forget: (about) => call('memory.forget', { about }),
  } satisfies Context['memory']),
  board: freeze({
    get: (key) => call('board.get', { key }),
    set: (key, value, options) => call('board.set', { key, value, ttlMs: ttl(options?.ttl) }),
    compareAndSet: (key, version, value, options) =>
      call('board.set', { key, value, version, ttlMs: ttl(options?.ttl) }),
    delete: (key) => call('board.delete', { key }),
    watch: (pattern) => open('board.watch', { pattern }),
  } satisfies Context['board']),
  decide: freeze({
    auction: (subject, options) => call('decide.auction', { subject, ...timed(options) }),
    contractNet: (subject, task, options = {}) =>
      call('decide.contract-net', { subject, task, ...timed(options) }),
    vote: (subject, choices, options = {}) => call('decide.vote', { subject, choices, ...timed(options) }),
    agree: (subject, value, options = {}) => call('decide.agree', { subject, value, ...timed(options) }),
  } satisfies Context['decide']),
} satisfies Context)

interface Asked {
  readonly key: string
  readonly from: string
  readonly message: Json
}

const ttl = (duration: Duration | undefined) => (duration === undefined ? undefined : millis(duration))

function timed<T extends { readonly within?: Duration }>({ within, ...options }: T) {
  return { ...options, deadlineMs: deadline(within) }
}

/** A value in words, for the log: JSON where that can say it. */
function textOf(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`
  try {
    return stringify(value) ?? `${value}`
  } catch {
    return 'a value that cannot be shown'
  }
}

function say(level: LogLine['level'], text: string): void {
  log[log.length] = { level, text }
}

/** Takes the agent's module; returns its manifest as JSON. Throws where the module is none of an agent. */
export function load(module: { readonly default?: unknown }): string {
  const found = module.default as AgentDefinition | undefined
  if (found === null || typeof found !== 'object' || typeof found.run !== 'function')
    throw new TypeError(
      'there is no agent here: write `export default agent({ name, wants, run(ctx) { … } })`',
    )
  definition = found
  return stringify({ ...found, run: undefined })
}

/** Takes what happened, as JSON. What the agent does about it happens in the jobs that follow. */
export function take(inputs: string): void {
  for (const input of parse(inputs) as TurnInput[]) apply(input)
}

function apply(input: TurnInput): void {
  if (input.kind === 'start') {
    device = input.device
    void run()
  } else if (input.kind === 'moved') {
    device = input.device
  } else if (input.kind === 'item') {
    streams[input.id]?.push(input.value)
  } else {
    const error = input.ok ? undefined : new CallFailed(input.error)
    const stream = streams[input.id]
    const waits = waiting[input.id]
    if (stream || waits) openCalls -= 1
    delete streams[input.id]
    delete waiting[input.id]
    stream?.end(error)
    if (input.ok) waits?.resolve(input.value)
    else waits?.reject(error)
  }
}

async function run(): Promise<void> {
  try {
    const value = await definition?.run(context)
    end = { ok: true, value: value === undefined ? undefined : parse(stringify(value)) }
  } catch (error) {
    const stack = error instanceof Error ? `\n${error.stack ?? ''}` : ''
    end = { ok: false, error: `${textOf(error)}${stack}` }
  }
}

/** What the turn asks for, as JSON; the next turn starts with nothing. */
export function drain(): string {
  const output: TurnOutput = { calls, cancels, log, ...(end ? { end } : {}) }
  const text = stringify(output)
  calls = []
  cancels = []
  log = []
  return text
}
