/**
 * The half of an agent's machine that runs inside it: the context that agents see. The host calls three functions: `load` with the agent's module, `take` with what happened, `drain` for what the
 * turn asks for. It calls nothing of the host: there is nothing to call. What promises were rejected without anybody who waits for
 * them only the engine knows: the host hands that to `load` and `drain`.
 *
 * It runs before the agent and keeps the built-ins it needs, so that an agent that changes them changes only its own. What a
 * call is given is checked here, where the program can still catch it; the host checks again. Types aside it
 * imports `guest-calls.ts`, `guest-tasks.ts` and `guest-checks.ts` and nothing else: the text of all four is kept with the agent.
 */
import type { AgentDefinition, Context, Duration, Entity, Json, Lease } from '../contract.ts'
import type { LogLine, TurnInput, TurnOutput } from '../turn.ts'
import { Cancelled, call, drained, item, root, type Scope, settle, stream } from './guest-calls.ts'
import {
  CallFailed,
  failure,
  given,
  isCount,
  isRecord,
  isText,
  kindOf,
  millis,
  placeOf,
  textOf,
} from './guest-checks.ts'
import { tasksIn } from './guest-tasks.ts'

const { parse, stringify } = JSON
const { create, freeze } = Object
const { queueMicrotask: enqueue } = globalThis
const now = Date.now
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

let log: LogLine[] = []
let end: TurnOutput['end']
let device = ''
let definition: AgentDefinition | undefined

/** After a restart the service tells the last instant again, since it cannot know whether it was heard: this half does. */
async function* instants(
  scope: Scope,
  args: () => object,
): AsyncGenerator<{ readonly atMs: number }, void, undefined> {
  let lastMs: number | undefined
  for await (const { atMs } of stream(scope, 'cron', args) as AsyncIterable<{ readonly atMs: number }>) {
    if (atMs === lastMs) continue
    lastMs = atMs
    yield { atMs }
  }
}

/** `within` as an instant: a deadline goes on counting while the machine is away. */
const deadline = (within: Duration | undefined) => (within === undefined ? undefined : now() + millis(within))

function entityIn(scope: Scope, id: string): Entity {
  if (!isText(id)) throw failure('bad-request', `an entity's id is a text, not ${kindOf(id)}`)
  return freeze({
    id,
    read: () => call(scope, 'read', () => ({ entity: id })),
    command: (command, options) =>
      call(scope, 'command', () => {
        const { lease: held, expires, ...rest } = timed(options)
        const lease = held === undefined ? {} : { lease: tokenOf(held) }
        return { ...rest, entity: id, command, ...lease, ...expiring(expires) }
      }),
    until: (filter, options) => call(scope, 'until', () => ({ entity: id, filter, ...timed(options) })),
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

/** It is released also by a task that was cancelled. */
function lease(name: string, token: number): Lease {
  const release = () => call(root, 'release', () => ({ name, token })) as Promise<void>
  return freeze({ name, token, release })
}

/** What a program, or a task of it, is handed: all that is asked for through it is of its scope. */
const contextIn = (scope: Scope): Context =>
  freeze({
    get name() {
      return definition?.name ?? ''
    },
    device: async () => device,
    on: (pattern, filter = {}) => stream(scope, 'on', () => ({ pattern, filter })),
    entity: (id) => entityIn(scope, id),
    entities: (pattern) => call(scope, 'entities', () => ({ pattern })),
    sleep: (duration) => call(scope, 'sleep', () => ({ atMs: now() + millis(duration) })),
    sleepUntil: (atMs) => call(scope, 'sleep', () => ({ atMs })),
    every: (cron, options) => instants(scope, () => ({ ...given(options), cron })),
    infer: (model, inputs, options) => call(scope, 'infer', () => ({ ...timed(options), model, inputs })),
    think: (goal, options) =>
      call(scope, 'think', () => {
        const { budget, ...rest } = given(options)
        return { ...rest, goal, ...(budget === undefined ? {} : budgeted(budget)) }
      }),
    ask: (question, options) => call(scope, 'ask', () => ({ ...timed(options), question })),
    call: (name, message, options) =>
      call(scope, 'call', () => ({ ...timed(options), agent: name, message })),
    async *calls() {
      for await (const { key, from, message } of stream(scope, 'calls', () => ({})) as AsyncIterable<Asked>) {
        if (!isFirst(key)) continue
        const reply = (answer: Json) => call(root, 'reply', () => ({ key, answer })) as Promise<void>
        yield { from, message, reply }
      }
    },
    tasks: tasksIn(scope, contextIn),
    lease: async (name, options) => {
      const { token }: { token: number } = await call(scope, 'lease', () => {
        const { ttl = '30s', ...rest } = timed(options)
        return { ...rest, name, ttlMs: millis(ttl) }
      })
      return lease(name, token)
    },
    log: (...parts) =>
      say('info', parts.map((part) => (typeof part === 'string' ? part : textOf(part))).join(' ')),
    memory: freeze({
      get: (key) => call(scope, 'memory.get', () => ({ key })),
      set: (key, value, options) => call(scope, 'memory.set', () => ({ ...given(options), key, value })),
      delete: (key) => call(scope, 'memory.delete', () => ({ key })),
      keys: (prefix = '') => call(scope, 'memory.keys', () => ({ prefix })),
      note: (words, options) => call(scope, 'memory.note', () => ({ ...given(options), text: words })),
      search: (words, options) => call(scope, 'memory.search', () => ({ ...given(options), text: words })),
      forget: (person) => call(scope, 'memory.forget', () => ({ about: person })),
    } satisfies Context['memory']),
    board: freeze({
      get: (key) => call(scope, 'board.get', () => ({ key })),
      set: (key, value, options) => call(scope, 'board.set', () => ({ ...kept(options), key, value })),
      compareAndSet: (key, version, value, options) =>
        call(scope, 'board.set', () => ({ ...kept(options), key, version: checkedVersion(version), value })),
      delete: (key) => call(scope, 'board.delete', () => ({ key })),
      watch: (pattern) => stream(scope, 'board.watch', () => ({ pattern })),
    } satisfies Context['board']),
    decide: freeze({
      auction: (subject, options) => call(scope, 'decide.auction', () => ({ ...timed(options), subject })),
      contractNet: (subject, task, options) =>
        call(scope, 'decide.contract-net', () => ({ ...timed(options), subject, task })),
      vote: (subject, choices, options) =>
        call(scope, 'decide.vote', () => ({ ...timed(options), subject, choices })),
      agree: (subject, value, options) =>
        call(scope, 'decide.agree', () => ({ ...timed(options), subject, value })),
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
  if (!isRecord(found))
    throw new TypeError(
      'there is no agent here: write `export default agent({ name, wants, run(ctx) { … } })`',
    )
  if (typeof found.run !== 'function') throw new TypeError(noRun(found.run))
  definition = found
  return stringify({ ...found, run: undefined })
}

const noRun = (run: unknown) =>
  `run ${run === undefined ? 'is missing' : `is ${kindOf(run)}, not a function`}: write \`async run(ctx) { … }\` in the agent's definition`

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
    item(input.id, input.value)
  } else if (input.ok) {
    settle(input.id, undefined, input.value)
  } else {
    settle(input.id, new CallFailed(input.error), undefined)
  }
}

async function run(): Promise<void> {
  try {
    const value = await definition?.run(contextIn(root))
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
  const heard: unknown[] = []
  for (let at = 0; at < lost.length; at += 1)
    if (!(lost[at] instanceof Cancelled)) heard[heard.length] = lost[at]
  if (heard.length > 0 && end?.ok !== false) {
    const error = lostWords(heard)
    end = { ok: false, error }
    say('error', error)
  }
  const output: TurnOutput = { ...drained(), log, ...(end ? { end } : {}) }
  const text = stringify(output)
  log = []
  return text
}
