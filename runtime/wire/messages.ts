/**
 * Every JSON message on the wire, as schemas: the contract between devices, gateways and anybody's own programs.
 * Each has a version `v`; unknown fields are ignored (forward compatibility), wrong ones refuse the message.
 */
import * as v from 'valibot'
import { tensorSpec } from './engine-protocol.ts'
import { privacies } from './infer.ts'
import { agentAccounts } from './top.ts'

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** Deeper than any attribute of ours, far from the end of the stack. */
const jsonDepthMax = 32

function isJson(value: unknown, depth = 0): value is Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || ArrayBuffer.isView(value) || depth >= jsonDepthMax) return false
  return Object.values(value).every((inner) => isJson(inner, depth + 1))
}

const json = v.custom<Json>(isJson, `is not JSON, or nested deeper than ${jsonDepthMax}`)
/** An array is an object too, to valibot's own schemas. */
const notArray = v.custom<object>((value) => !Array.isArray(value), 'is not an object')
export const jsonRecord = v.pipe(notArray, v.record(v.string(), json))
const id = v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/, 'is not an id'))
const text = v.pipe(v.string(), v.maxLength(4096))
const ms = v.pipe(v.number(), v.finite())

/** `<base>/<device>/state/<entity>`, retained. */
export const stateMessage = v.object({
  v: v.literal(1),
  state: v.pipe(v.string(), v.maxLength(255)),
  attributes: jsonRecord,
  /** Time of the measurement, milliseconds since the Unix epoch. */
  ts: ms,
})
export type StateMessage = v.InferOutput<typeof stateMessage>

/** `<base>/<device>/set/<entity>`: the command's own fields, and optionally an id and a time to live. */
export const setMessage = v.pipe(
  notArray,
  v.objectWithRest(
    {
      id: v.optional(id),
      ttlMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(600_000))),
    },
    json,
  ),
)
export type SetMessage = v.InferOutput<typeof setMessage>

export const areaDescription = v.object({
  id,
  name: text,
  floor: v.optional(text),
  aliases: v.optional(v.array(text)),
})
export type AreaDescription = v.InferOutput<typeof areaDescription>

export const entityDescription = v.object({
  id,
  kind: v.pipe(v.string(), v.maxLength(32)),
  name: text,
  area: v.optional(id),
  device: v.optional(v.object({ id, name: text, manufacturer: v.optional(text), model: v.optional(text) })),
  deviceClass: v.optional(text),
  unit: v.optional(text),
  features: v.optional(v.array(text)),
  /** `number`: its range. */
  range: v.optional(v.object({ min: v.number(), max: v.number(), step: v.number() })),
  /** `select`: what may be chosen. */
  choices: v.optional(v.array(text)),
  simulated: v.boolean(),
})
export type EntityDescription = v.InferOutput<typeof entityDescription>

/** `<base>/<device>/home`, retained: what there is. What it is doing is in the state topics. */
export const homeMessage = v.object({
  v: v.literal(1),
  device: v.object({ id, name: text, board: text, simulated: v.boolean(), version: text }),
  areas: v.array(areaDescription),
  entities: v.array(entityDescription),
})
export type HomeMessage = v.InferOutput<typeof homeMessage>

export const commandOutcome = v.picklist(['done', 'failed', 'refused'])
export type CommandOutcome = v.InferOutput<typeof commandOutcome>

/** What telemetry showed for one command: the proof, or what was seen instead. */
export const evidence = v.object({
  /** The effect that the command declared, as words: `state on, brightness 128 ± 3`. */
  expected: text,
  /** State and attributes last seen. */
  observed: v.optional(v.object({ state: v.string(), attributes: jsonRecord, ts: ms })),
  /** How often the command was handed to the hardware. */
  attempts: v.number(),
  /** True where the device reports nothing that could show the effect: it took the command, and that is all that is known. */
  unproven: v.optional(v.boolean()),
  /** Why it failed or was refused, one line. */
  reason: v.optional(text),
})
export type Evidence = v.InferOutput<typeof evidence>

export const commandReport = v.object({
  entity: id,
  command: jsonRecord,
  outcome: commandOutcome,
  evidence,
  latencyMs: ms,
})
export type CommandReport = v.InferOutput<typeof commandReport>

/** `uncertain`: nobody can tell what became of it, and it is not tried again. */
export const outcome = v.picklist(['done', 'failed', 'refused', 'question', 'uncertain'])
export type Outcome = v.InferOutput<typeof outcome>

/** Which words decided, and what they were taken for. */
export const reading = v.object({
  intent: text,
  words: v.array(v.object({ text, role: text, means: text })),
})
export type Reading = v.InferOutput<typeof reading>

/** Answer to `say` and `hear`. */
export const sayResult = v.object({
  outcome,
  transcript: text,
  reply: text,
  commands: v.array(commandReport),
  latencyMs: ms,
  reading: v.optional(reading),
  /** With `question`: the names that the unclear words could stand for. */
  options: v.optional(v.array(text)),
})
export type SayResult = v.InferOutput<typeof sayResult>

export const stages = [
  'heard',
  'understood',
  'sent',
  'verified',
  /** The device took the command; nothing it reports could show more. */
  'taken',
  'failed',
  'answered',
  'asked',
  'refused',
] as const

/** `<base>/<device>/event/command`: one step in the life of one utterance or command. */
export const commandEvent = v.object({
  v: v.literal(1),
  /** Unique per event: receivers that dedupe see each once. */
  id,
  /** The utterance or command that it belongs to. */
  run: id,
  stage: v.picklist(stages),
  /** Since the end of speech, or since the text arrived. */
  sinceMs: ms,
  ts: ms,
  /** Transcript (`heard`) or reply (`answered`, `asked`, `refused`, last `verified` or `failed`). */
  text: v.optional(text),
  reading: v.optional(reading),
  entity: v.optional(id),
  command: v.optional(jsonRecord),
  evidence: v.optional(evidence),
})
export type CommandEvent = v.InferOutput<typeof commandEvent>

/** Any other event: `<base>/<device>/event/<kind>`. */
export const anyEvent = v.looseObject({
  v: v.literal(1),
  id,
  ts: ms,
  /** Of what it was made from, the strictest: whoever asks a model about it goes by this. Entities have it as an attribute. */
  privacy: v.optional(v.picklist(privacies)),
})

const safetyStatus = v.object({
  armed: v.boolean(),
  notArmedBecause: v.array(text),
  emergencyStop: v.boolean(),
  faults: v.array(v.object({ id: text, cause: text, components: v.array(text), message: text, atMs: ms })),
  leases: v.array(v.object({ components: v.array(text), principal: text, leftMs: ms })),
  watchdog: text,
  denials: v.number(),
})

/** Answer to the `status` call: the device's models, memory and health. */
export const statusResult = v.object({
  device: v.object({
    id,
    board: text,
    recognisedBy: text,
    simulated: v.boolean(),
    version: text,
    uptimeMs: ms,
  }),
  processes: v.array(v.object({ name: text, pid: v.number(), pssMb: v.optional(v.number()), state: text })),
  models: v.array(
    v.object({
      name: text,
      version: text,
      state: v.picklist(['absent', 'present', 'loading', 'loaded', 'failed']),
      /** Memory that it is counted with: as declared until it was measured. */
      megabytes: v.number(),
      measured: v.optional(v.boolean()),
      reason: v.optional(text),
      description: v.optional(text),
      licence: v.optional(text),
      /** `ganglion`: shipped; else the folder that a person put it into. */
      from: v.optional(text),
      pinned: v.optional(v.boolean()),
      loads: v.optional(v.number()),
      evictions: v.optional(v.number()),
      /** Requests that wait and that run. */
      queued: v.optional(v.number()),
      running: v.optional(v.number()),
      answered: v.optional(v.number()),
      /** Time in the model over the last requests, milliseconds. */
      p50Ms: v.optional(ms),
      p95Ms: v.optional(ms),
      inputs: v.optional(v.array(tensorSpec)),
      outputs: v.optional(v.array(tensorSpec)),
    }),
  ),
  /** What runs the models: one process or several, and their memory. */
  engine: v.optional(
    v.object({
      state: v.picklist(['idle', 'starting', 'running', 'restarting', 'stopped']),
      workers: v.number(),
      threads: v.number(),
      /** Why so many, one line each. */
      reasons: v.array(text),
      budgetMb: v.number(),
      /** What loaded models are counted with. */
      usedMb: v.optional(v.number()),
      /** Of all its processes. */
      rssMb: v.optional(v.number()),
      restarts: v.number(),
      /** Times that a process was replaced because its memory had crept past its limit. */
      replaced: v.number(),
    }),
  ),
  /** Adapters that are configured; absent where none is. */
  accelerators: v.optional(
    v.array(
      v.object({
        id: text,
        state: v.picklist(['ok', 'starting', 'restarting', 'failed', 'closed']),
        reason: v.optional(text),
        restarts: v.number(),
        /** Cap on its memory, megabytes, or why there is none. */
        memoryCap: v.optional(v.union([v.object({ mb: v.number() }), v.object({ whyNot: text })])),
        /** Its work is done elsewhere: where, why, how many runs. */
        fallback: v.optional(v.object({ to: text, reason: text, runs: v.number() })),
      }),
    ),
  ),
  link: v.object({
    connected: v.boolean(),
    broker: text,
    outboxEvents: v.number(),
    outboxBytes: v.number(),
    outboxDropped: v.number(),
  }),
  /** There where one is configured. */
  camera: v.optional(v.object({ id: text, name: text })),
  /** There where actuators are attached: what the safety kernel says. */
  safety: v.optional(safetyStatus),
  /** There where an agent is installed: what each has used. */
  agents: v.optional(agentAccounts),
  /** One line for each thing that is not as it should be. */
  problems: v.array(text),
})
export type StatusResult = v.InferOutput<typeof statusResult>

/** A parsed message, or one line that says what is wrong with it. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string }

/** Checks a value against a schema. */
export function check<T>(schema: v.GenericSchema<unknown, T>, value: unknown): Parsed<T> {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return { ok: true, value: result.output }
  const issue = result.issues[0]
  const where = v.getDotPath(issue)
  const isUnknown = issue.type === 'strict_object' && issue.expected === 'never'
  const words = isUnknown ? 'unknown key' : issue.message
  return { ok: false, reason: `${where ? `${where}: ` : ''}${words}` }
}

/** Parses a JSON payload of at most `bytesMax` bytes against a schema. Never throws. */
export function parseJson<T>(
  schema: v.GenericSchema<unknown, T>,
  payload: Uint8Array,
  bytesMax: number,
): Parsed<T> {
  if (payload.byteLength > bytesMax)
    return { ok: false, reason: `${payload.byteLength} bytes, more than the ${bytesMax} allowed` }
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    return { ok: false, reason: 'not JSON in UTF-8' }
  }
  return check(schema, value)
}
