/**
 * The half of an agent's machine that runs inside it: the context that agents see, and the table of promises that wait for
 * answers. The host calls three functions: `load` with the agent's module, `take` with what happened, `drain` for what the
 * turn asks for. It calls nothing of the host: there is nothing to call. What promises were rejected without anybody who waits for
 * them only the engine knows: the host hands that to `load` and `drain`.
 *
 * It runs before the agent and keeps the built-ins it needs, so that an agent that changes them changes only its own. What a
 * call is given is checked here, where the program can still catch it; the host checks again. It imports nothing but
 * `guest-checks.ts` (types aside): the text of both is part of what an image is bound to.
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
import {
  isCount,
  isRecord,
  isText,
  kindOf,
  placeOf,
  shapes,
  taskShapes,
  textOf,
  wrongOf,
} from './guest-checks.ts'

const { parse, stringify } = JSON
const { create, freeze, hasOwn, keys } = Object
const { isFinite: isFiniteNumber } = Number
const { queueMicrotask: enqueue } = globalThis
const now = Date.now
/** As `turnLimits` has them: this file imports nothing, and a test holds the two together. */
const limits = { callsMax: 256, openCallsMax: 1_024, argsBytesMax: 64 * 1024 }
const errorCharsMax = 4_000

// What tells when memory is collected, shares memory, or is a clock besides `Date`, is nobody's here.
for (const name of ['FinalizationRegistry', 'WeakRef', 'SharedArrayBuffer', 'performance'])
  delete (globalThis as Record<string, unknown>)[name]
/** Nobody waits for such a job: what it throws ends the agent, as it ends a program elsewhere. */
globalThis.queueMicrotask = (job) => {
  if (typeof job !== 'function') throw new TypeError('queueMicrotask takes a function')
  enqueue(() => {
    try {
      job()
    } catch (error) {
      fail(error)
    }
  })
}

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

/** Options may be left out; what else is no object is an error, not no options. */
function given<T extends object>(options: T | undefined): Partial<T> {
  if (options === undefined) return {}
  if (!isRecord(options)) throw failure('bad-request', `options are an object, not ${kindOf(options)}`)
  return options
}

/** Asks the host; the promise settles in a later turn, of this machine or of one restored from its image. */
async function call(op: CallOp, argsOf: () => object): Promise<never> {
  const id = ask(op, argsOf())
  return new Promise((resolve, reject) => {
    waiting[id] = { resolve: resolve as Waiting['resolve'], reject }
  })
}

/** Puts a call into the turn's output. What it was is an error where it was written, long before the host refuses it. */
function ask(op: CallOp, args: object, stream?: true): number {
  if (calls.length >= limits.callsMax || openCalls >= limits.openCallsMax)
    throw failure('limit', `${op}: too many calls wait for an answer already`)
  const json = jsonOf(op, args)
  if (json.length > limits.argsBytesMax)
    throw failure(
      'limit',
      `${op} was given ${json.length} bytes, more than the ${limits.argsBytesMax} allowed`,
    )
  const kept = parse(json)
  const wrong = wrongOf(kept, shapes[op])
  if (wrong !== undefined) throw failure('bad-request', `${op}: ${wrong}`)
  nextId += 1
  openCalls += 1
  calls[calls.length] = { id: nextId, op, args: kept, ...(stream ? { stream } : {}) }
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
async function* open(op: CallOp, argsOf: () => object): AsyncGenerator<never, void, undefined> {
  const id = ask(op, argsOf(), true)
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

/** After a restart the service tells the last instant again, since it cannot know whether it was heard: this half does. */
async function* instants(args: () => object): AsyncGenerator<{ readonly atMs: number }, void, undefined> {
  let lastMs: number | undefined
  for await (const { atMs } of open('cron', args) as AsyncIterable<{ readonly atMs: number }>) {
    if (atMs === lastMs) continue
    lastMs = atMs
    yield { atMs }
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
  const written =
    typeof duration === 'number' || typeof duration === 'string' ? `${duration}` : kindOf(duration)
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(written) ?? []
  const ms = amount === undefined ? Number.NaN : +amount * (units[unit ?? 'ms'] ?? Number.NaN)
  if (!isFiniteNumber(ms))
    throw failure(
      'bad-request',
      `not a duration: ${written.slice(0, 40)}; write 500, '30s', '5m', '2h' or '1d'`,
    )
  return ms
}

/** `within` as an instant: a deadline goes on counting while the machine is away. */
const deadline = (within: Duration | undefined) => (within === undefined ? undefined : now() + millis(within))

function entity(id: string): Entity {
  if (!isText(id)) throw failure('bad-request', `an entity's id is a text, not ${kindOf(id)}`)
  return freeze({
    id,
    read: () => call('read', () => ({ entity: id })),
    command: (command, options) =>
      call('command', () => {
        const { lease: held, expires, ...rest } = timed(options)
        const lease = held === undefined ? {} : { lease: tokenOf(held) }
        return { ...rest, entity: id, command, ...lease, ...expiring(expires) }
      }),
    until: (filter, options) => call('until', () => ({ entity: id, filter, ...timed(options) })),
  } satisfies Entity)
}

function expiring(expires: unknown): { expires?: { afterMs: number; to: unknown } } {
  if (expires === undefined) return {}
  if (!isRecord(expires))
    throw failure('bad-request', `command: expires is ${kindOf(expires)}, not { after, to }`)
  return { expires: { afterMs: millis(expires['after'] as Duration), to: expires['to'] } }
}

/** Of a lease, or of what was kept of one. */
function tokenOf(held: unknown): { name: unknown; token: unknown } {
  if (!isRecord(held)) throw failure('bad-request', `command: lease is ${kindOf(held)}, not a lease`)
  return { name: held['name'], token: held['token'] }
}

function lease(name: string, token: number): Lease {
  return freeze({ name, token, release: () => call('release', () => ({ name, token })) as Promise<void> })
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
  if (!isRecord(graph)) throw failure('bad-request', `tasks are an object of tasks, not ${kindOf(graph)}`)
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
  }
  for (const name of keys(graph)) visit(name, [])
}

function checked(name: string, task: unknown): Task {
  const wrong = isRecord(task) ? wrongOf(task, taskShapes) : `it is ${kindOf(task)}, not an object`
  if (wrong !== undefined) throw failure('bad-request', `task ${name}: ${wrong}`)
  return task as never
}

const context: Context = freeze({
  get name() {
    return definition?.name ?? ''
  },
  device: async () => device,
  on: (pattern, filter = {}) => open('on', () => ({ pattern, filter })),
  entity,
  entities: (pattern) => call('entities', () => ({ pattern })),
  sleep: (duration) => call('sleep', () => ({ atMs: now() + millis(duration) })),
  sleepUntil: (atMs) => call('sleep', () => ({ atMs })),
  every: (cron, options) => instants(() => ({ ...given(options), cron })),
  infer: (model, inputs, options) => call('infer', () => ({ ...timed(options), model, inputs })),
  think: (goal, options) =>
    call('think', () => {
      const { budget, ...rest } = given(options)
      return { ...rest, goal, ...(budget === undefined ? {} : budgeted(budget)) }
    }),
  ask: (question, options) => call('ask', () => ({ ...timed(options), question })),
  call: (name, message, options) => call('call', () => ({ ...timed(options), agent: name, message })),
  async *calls() {
    for await (const { key, from, message } of open('calls', () => ({})) as AsyncIterable<Asked>) {
      if (!isFirst(key)) continue
      const reply = (answer: Json) => call('reply', () => ({ key, answer })) as Promise<void>
      yield { from, message, reply }
    }
  },
  tasks: runTasks,
  lease: async (name, options) => {
    const { token }: { token: number } = await call('lease', () => {
      const { ttl = '30s', ...rest } = timed(options)
      return { ...rest, name, ttlMs: millis(ttl) }
    })
    return lease(name, token)
  },
  log: (...parts) =>
    say('info', parts.map((part) => (typeof part === 'string' ? part : textOf(part))).join(' ')),
  memory: freeze({
    get: (key) => call('memory.get', () => ({ key })),
    set: (key, value, options) => call('memory.set', () => ({ ...given(options), key, value })),
    delete: (key) => call('memory.delete', () => ({ key })),
    keys: (prefix = '') => call('memory.keys', () => ({ prefix })),
    note: (words, options) => call('memory.note', () => ({ ...given(options), text: words })),
    search: (words, options) => call('memory.search', () => ({ ...given(options), text: words })),
    forget: (person) => call('memory.forget', () => ({ about: person })),
  } satisfies Context['memory']),
  board: freeze({
    get: (key) => call('board.get', () => ({ key })),
    set: (key, value, options) => call('board.set', () => ({ ...kept(options), key, value })),
    compareAndSet: (key, version, value, options) =>
      call('board.set', () => ({ ...kept(options), key, version: checkedVersion(version), value })),
    delete: (key) => call('board.delete', () => ({ key })),
    watch: (pattern) => open('board.watch', () => ({ pattern })),
  } satisfies Context['board']),
  decide: freeze({
    auction: (subject, options) => call('decide.auction', () => ({ ...timed(options), subject })),
    contractNet: (subject, task, options) =>
      call('decide.contract-net', () => ({ ...timed(options), subject, task })),
    vote: (subject, choices, options) => call('decide.vote', () => ({ ...timed(options), subject, choices })),
    agree: (subject, value, options) => call('decide.agree', () => ({ ...timed(options), subject, value })),
  } satisfies Context['decide']),
} satisfies Context)

/** Calls that were taken: after a crash a caller asks again, and only the machine knows what it had. */
const taken: Record<string, true> = create(null)
let takenKeys: string[] = []
const takenMax = 1_024

function isFirst(key: string): boolean {
  if (taken[key]) return false
  taken[key] = true
  takenKeys[takenKeys.length] = key
  if (takenKeys.length > takenMax) {
    const [oldest = '', ...rest] = takenKeys
    delete taken[oldest]
    takenKeys = rest
  }
  return true
}

interface Asked {
  readonly key: string
  readonly from: string
  readonly message: Json
}

/** `within` becomes `deadlineMs`, `ttl` becomes `ttlMs`: what counts from now says so. */
function timed<T extends { readonly within?: Duration }>(options: T | undefined) {
  const { within, ...rest } = given(options)
  return { ...rest, deadlineMs: deadline(within) }
}

function kept<T extends { readonly ttl?: Duration }>(options: T | undefined) {
  const { ttl, ...rest } = given(options)
  return { ...rest, ttlMs: ttl === undefined ? undefined : millis(ttl) }
}

function budgeted(options: { readonly within?: Duration }) {
  const { deadlineMs: atMs, ...budget } = timed(options)
  return { budget, deadlineMs: atMs }
}

/** Left out, the write would be one without comparison. */
function checkedVersion(version: number): number {
  if (!isCount(version))
    throw failure('bad-request', `board.set: version is ${kindOf(version)}, not a whole number from 0`)
  return version
}

function say(level: LogLine['level'], text: string): void {
  log[log.length] = { level, text }
}

/**
 * Takes the agent's module; returns its manifest as JSON. Throws where the module is none of an agent. `lost`: what promises were
 * rejected with that nothing waits for.
 */
export function load(module: { readonly default?: unknown }, ...lost: unknown[]): string {
  if (lost.length > 0) throw new Error(lostWords(lost))
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
    const json = stringify(value)
    if (json === undefined && value !== undefined)
      throw new TypeError('it returned what JSON cannot say: a function or a symbol')
    end ??= { ok: true, value: json === undefined ? undefined : parse(json) }
  } catch (error) {
    fail(error)
  }
}

function fail(error: unknown): void {
  end ??= { ok: false, error: `${textOf(error)}${placeOf(error)}`.slice(0, errorCharsMax) }
}

/** As of several errors that nothing caught: the first in words, and how many there are. */
function lostWords(lost: readonly unknown[]): string {
  const first = lost[0]
  const more = lost.length > 1 ? ` (and ${lost.length - 1} more)` : ''
  return `nothing awaits or catches what failed${more}: ${textOf(first)}${placeOf(first)}`.slice(
    0,
    errorCharsMax,
  )
}

/**
 * What the turn asks for, as JSON; the next turn starts with nothing. `lost`: what promises were rejected with in this turn that
 * nothing waits for now. It ends the agent, as it ends a program elsewhere, also one that has come to its end in this turn.
 */
export function drain(...lost: unknown[]): string {
  if (lost.length > 0 && end?.ok !== false) {
    const error = lostWords(lost)
    end = { ok: false, error }
    say('error', error)
  }
  const output: TurnOutput = { calls, cancels, log, ...(end ? { end } : {}) }
  const text = stringify(output)
  calls = []
  cancels = []
  log = []
  return text
}
