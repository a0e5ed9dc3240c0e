/**
 * What an agent is written against: types, and `agent()`, which gives its argument back. It imports nothing, so that an
 * editor, a built-in agent and the sealed machine that runs agents all see the same few names.
 *
 * Each call that leaves the machine returns a promise that survives a power cut, an update and a move to another device: the
 * program continues from the `await` it had reached. What a call may do is decided outside, by what a person has granted.
 */

/** Anything that JSON can say. Values cross the machine's border as JSON and as nothing else. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * How far a value may travel: it stays on the device, in the home, or may reach a cloud. The device keeps the labels of what is remembered,
 * and within a thought those of all that the model is shown, by tools too. In the program values are bare; `memory.search`, `infer` and
 * `think` say the label beside them. A program that hands a value on says under which (`privacy` of `think`, `infer`, `memory.set`, `note`).
 */
export type Privacy = 'device' | 'site' | 'cloud'

/** Milliseconds, or a number with a unit: `'500ms'`, `'30s'`, `'5m'`, `'2h'`, `'1d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** Who goes first where something is scarce. An agent's own word can lower what it was granted, never raise it. */
export type Priority = 'control' | 'interactive' | 'background'

/**
 * A capability that an agent asks for: `<pattern>:read`, `<pattern>:command`, `infer:<model>`, `think`, `memory`, `board:<pattern>`,
 * `decide:<pattern>`, `agent:<name>`, `mcp:<server>`, `mcp:<server>/<tool>`, `ask`. In patterns `*` stands for any characters but a dot
 * and `@`. A pattern of things without `@` means those of this device alone; `light.*@hub:command` reaches lights of the device `hub`,
 * `light.*@*:command` those of every device of the site.
 */
export type Want =
  | string
  | {
      readonly want: string
      /** Shown to the person who grants it. */
      readonly why?: string
      readonly limits?: Limits
    }

/** What narrows a capability. A grant may narrow further than the manifest asked, never wider. */
export interface Limits {
  /**
   * By field of a command: the values allowed, or a range. `{ state: ['on', 'off'], brightness: { max: 128 } }`. A command that says
   * anything else is refused.
   */
  readonly values?: {
    readonly [field: string]: readonly Json[] | { readonly min?: number; readonly max?: number }
  }
  /** With `values`: a command may also say what is not named there, with any value. */
  readonly others?: boolean
  /** Local times of day, `'22:00-06:00'`. */
  readonly times?: readonly string[]
  /** At most so many in a time, `'10/h'`: s, m, h or d. */
  readonly rate?: string
  /** Every use waits for a person's yes. */
  readonly ask?: boolean
}

export interface AgentDefinition {
  /** `[a-z0-9-]`, at most 64: one of this name in a home. */
  readonly name: string
  /** One line for people. */
  readonly says?: string
  readonly wants?: readonly Want[]
  /** Default: `background`. */
  readonly priority?: Priority
  /** Ends when it returns or throws; what it returns is kept as its result. */
  run(ctx: Context): Promise<Json | undefined> | Promise<void>
}

/** Declares an agent: `export default agent({ … })`. */
export function agent(definition: AgentDefinition): AgentDefinition {
  return definition
}

/** What an entity reported. */
export interface Telemetry {
  /** As it was asked for: `light.hall`, or `light.hall@hub` where `@` was said. */
  readonly entity: string
  readonly state: string
  readonly attributes: { readonly [name: string]: Json }
  /** Id of its area; empty where it has none. */
  readonly area: string
  /** When it reported, milliseconds since the Unix epoch. */
  readonly tsMs: number
}

/** A report that `ctx.on` gives out. */
export interface Seen extends Telemetry {
  /** The state before, where there was one. */
  readonly from?: string
}

export interface ReportFilter {
  /** Only changes to this state, or to one of these. */
  readonly to?: string | readonly string[]
  /** Only changes from this state. */
  readonly from?: string | readonly string[]
  /** Only entities of this area. */
  readonly area?: string
}

/** Proof that a command took effect. */
export interface Done {
  readonly entity: string
  /** What telemetry shows, in words; `unproven` where the device reports nothing. */
  readonly shown: string
  readonly unproven?: boolean
  /** It was so before anything was sent. */
  readonly already?: boolean
  readonly ms: number
}

export interface Entity {
  readonly id: string
  /** Throws `not-found`, `permission`. */
  read(): Promise<Telemetry>
  /** Resolves only when telemetry shows the effect. Throws `refused`, `failed`, `permission`, `uncertain`. */
  command(
    command: { readonly [field: string]: Json },
    options?: {
      readonly within?: Duration
      /** Only as long as this is held: refused when it is not, and by the entity when it has heard of a later holder. */
      readonly lease?: Pick<Lease, 'name' | 'token'>
      /**
       * Unless the entity is commanded again before, it goes back so long after, a day at most: also when this agent was stopped or
       * removed, has failed or lost its grant, and after a restart of the device that has the entity.
       */
      readonly expires?: { readonly after: Duration; readonly to: { readonly [field: string]: Json } }
      /** Of an assistant: what somebody asked for, by its id. Given once, while they wait for it, and counts as theirs. */
      readonly request?: string
    },
  ): Promise<Done>
  /** The first report that fits; throws `timeout` after `within`. */
  until(filter: ReportFilter, options?: { readonly within?: Duration }): Promise<Seen>
}

export interface InferOptions {
  /** Of the inputs. Default: `device`, the model of this device alone. */
  readonly privacy?: Privacy
  readonly within?: Duration
}
export interface Tensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly data: readonly (number | string | boolean)[]
}
export interface Inferred {
  readonly outputs: readonly Tensor[]
  readonly route: string
  readonly privacy: Privacy
}

export interface ThinkOptions {
  /** Names of what the model may use: `'light.*:command'`, `'memory'`, `'agent:<name>'`, `'mcp:<server>'`, `'mcp:<server>/<tool>'`. Default: nothing. */
  readonly tools?: readonly string[]
  /** JSON schema of the answer. */
  readonly schema?: { readonly [key: string]: Json }
  /**
   * Of the goal. Default: `site`. It is stricter where the goal holds word for word (24 characters or more) what a key of this agent's
   * memory has under a stricter label. Throws `refused` where no model may see what the thought was shown.
   */
  readonly privacy?: Privacy
  readonly budget?: { readonly tokens?: number; readonly steps?: number; readonly within?: Duration }
}
export interface Thought {
  /** Text, or a value of the schema. */
  readonly answer: Json
  readonly steps: number
  readonly tokens: number
  readonly privacy: Privacy
}

export interface Episode {
  readonly id: string
  readonly text: string
  readonly tsMs: number
  readonly about?: string
  readonly privacy: Privacy
  /** How well it fits what was searched, 0 to 1. */
  readonly score?: number
}
export interface Memory {
  /** The value without its label. */
  get(key: string): Promise<Json | undefined>
  /** `privacy`, default `device`: what it is kept under. */
  set(
    key: string,
    value: Json,
    options?: { readonly privacy?: Privacy; readonly about?: string },
  ): Promise<void>
  delete(key: string): Promise<void>
  keys(prefix?: string): Promise<readonly string[]>
  /** Appends what happened, under `privacy`, default `device`. `about`: the person it is about, so that it can be forgotten. */
  note(text: string, options?: { readonly privacy?: Privacy; readonly about?: string }): Promise<string>
  search(text: string, options?: { readonly most?: number }): Promise<readonly Episode[]>
  /** Erases everything about a person. Returns how many things went. */
  forget(about: string): Promise<number>
}

/** A fact that the devices of a home share. */
export interface Fact {
  readonly key: string
  readonly value: Json
  /** Grows with each writing, and no two have the same: for `compareAndSet`. */
  readonly version: number
  /** Device that wrote it. */
  readonly author: string
  readonly tsMs: number
  /** In `watch`: it was deleted, or its time is over; `value` is null. */
  readonly gone?: true
}
export interface Board {
  /** As far as this device has heard. */
  get(key: string): Promise<Fact | undefined>
  /** Works also while the others cannot be reached: they have it later. Kept for `ttl`, 30 days where none is named. */
  set(key: string, value: Json, options?: { readonly ttl?: Duration }): Promise<Fact>
  /**
   * Writes only where the version is still this one (0: where there is nothing): of several devices exactly one. Throws `conflict`;
   * `unavailable` where fewer than half of the devices answer; `uncertain` where it may have been written, or will be: look again.
   */
  compareAndSet(
    key: string,
    version: number,
    value: Json,
    options?: { readonly ttl?: Duration },
  ): Promise<Fact>
  delete(key: string): Promise<void>
  /** What is there now, then each change. Of a key that changes faster than you take it you see the latest. */
  watch(pattern: string): AsyncIterable<Fact>
}

/** How a joint decision ended. Without a quorum nothing is decided, and `decided` is false with the reason. */
export interface Decision {
  readonly id: string
  readonly decided: boolean
  readonly value?: Json
  readonly winner?: string
  readonly price?: number
  readonly reason: string
}
export interface DecideOptions {
  readonly within?: Duration
  /** Devices that must take part. Default: more than half of those known. */
  readonly quorum?: number
}
export interface Decide {
  /** Sealed bids for `subject`, the highest wins. `bid`: this device's own offer, absent to run the auction only. */
  auction(
    subject: string,
    options: DecideOptions & {
      readonly price?: 'first' | 'second'
      readonly bid?: number
      readonly reason?: string
    },
  ): Promise<Decision>
  /** Announces a task, awards it to the best offer, awards again when the winner does not report. */
  contractNet(subject: string, task: Json, options?: DecideOptions): Promise<Decision>
  vote(
    subject: string,
    choices: readonly string[],
    options?: DecideOptions & {
      readonly rule?: 'majority' | 'weighted' | 'ranked'
      readonly mine?: readonly string[]
    },
  ): Promise<Decision>
  /** A value that holds although at most `faulty` of 3·faulty + 1 devices lie. */
  agree(
    subject: string,
    value: Json,
    options?: DecideOptions & { readonly faulty?: number },
  ): Promise<Decision>
}

/**
 * Something only one may do at a time in the home. Held as long as the agent runs on this device and more than half of the devices
 * hear of it, at least once in `ttl`; lost when the device restarts, and after a move. Give it with commands that only its holder
 * may send.
 */
export interface Lease {
  readonly name: string
  /** Grows with every holder: whoever receives work can refuse an old one's. */
  readonly token: number
  release(): Promise<void>
}

/** A task of a graph. */
export interface Task {
  readonly after?: readonly string[]
  /**
   * Of each try. What a task asks for is wanted by then too: among the equally urgent calls and turns of this device it is served sooner
   * where that is sooner than it would be.
   */
  readonly within?: Duration
  /** What the task asks for is at most so urgent: it can only be less urgent than its agent, and than the task that it is in. */
  readonly priority?: Priority
  /** So many times more, after so long; default 1 s. */
  readonly retry?: { readonly times: number; readonly wait?: Duration }
  /**
   * `ctx`: a context of this try. When the try fails or takes longer than `within`, when another task has failed, and when all are cancelled, its
   * calls that are under way are given up and throw `cancelled`, and so does each later one. What still has to be done then (release, tidy
   * up) goes by the context around it.
   */
  run(
    results: { readonly [task: string]: Json },
    ctx: Context,
  ): Promise<Json | undefined> | Promise<void> | Json | undefined | void
}
export interface TasksOptions {
  /** Of all of them together. */
  readonly within?: Duration
  /** Default true: the first that fails ends all. False: those that do not come after it go on to their end, and then it is thrown. */
  readonly failFast?: boolean
}
/** What all tasks gave, by their names; fails with what the first that failed has thrown. */
export interface Tasks extends Promise<{ readonly [task: string]: Json }> {
  /** Gives up what they have under way. None begins any more, and who awaits them gets `cancelled`. */
  cancel(why?: string): void
}

export interface Context {
  readonly name: string
  /** This device's id: another one after a move. */
  device(): Promise<string>
  /** Reports of what a pattern names: `light.*` on this device, `light.*@hub` on the device `hub`, `light.*@*` on all devices. */
  on(pattern: string, filter?: ReportFilter): AsyncIterable<Seen>
  /** `light.hall` of this device, `light.hall@hub` of another one of the site: throws `unavailable` where that device is away. */
  entity(id: string): Entity
  /** Ids of what there is and may be read; those of other devices only where the pattern says `@`. */
  entities(pattern: string): Promise<readonly string[]>
  sleep(duration: Duration): Promise<void>
  /** Until an instant, milliseconds since the Unix epoch. */
  sleepUntil(atMs: number): Promise<void>
  /** Instants of a cron expression in a time zone (default: the device's). Those missed while away come once, late. */
  every(cron: string, options?: { readonly timezone?: string }): AsyncIterable<{ readonly atMs: number }>
  infer(model: string, inputs: readonly Tensor[], options?: InferOptions): Promise<Inferred>
  think(goal: string, options?: ThinkOptions): Promise<Thought>
  /** Asks the people of the home; two `choices` at least, default yes and no. Gives the one chosen. Throws `timeout`. */
  ask(
    question: string,
    options?: { readonly choices?: readonly string[]; readonly within?: Duration },
  ): Promise<string>
  /**
   * Calls another agent: `name` on this device, `name@device` on another of the home. Throws `not-found`, `permission`, `timeout`,
   * `unavailable` where the device is away, `uncertain` where this device stopped meanwhile and nobody can tell what became of it.
   */
  call(agent: string, message: Json, options?: { readonly within?: Duration }): Promise<Json>
  /** Calls made to this agent; answer each with `reply`. */
  calls(): AsyncIterable<{
    readonly from: string
    readonly message: Json
    reply(answer: Json): Promise<void>
  }>
  /**
   * Runs a graph of tasks, 256 at most. Throws `cyclic` before anything runs, `timeout` after `within`, and what a task has thrown. All that
   * a program asks for at one instant are 256 calls at most; the next throws `limit`.
   */
  tasks(graph: { readonly [name: string]: Task }, options?: TasksOptions): Tasks
  lease(name: string, options?: { readonly ttl?: Duration; readonly within?: Duration }): Promise<Lease>
  log(...parts: readonly unknown[]): void
  readonly memory: Memory
  readonly board: Board
  readonly decide: Decide
}

/** What a call of the context throws. `code` is one of a closed set; `message` is one line. */
export const callErrorCodes = [
  'bad-request',
  'permission',
  'not-found',
  'refused',
  'failed',
  'uncertain',
  'timeout',
  'conflict',
  'unavailable',
  'limit',
  'cyclic',
  'cancelled',
] as const
export type CallErrorCode = (typeof callErrorCodes)[number]
