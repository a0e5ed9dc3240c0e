/** The sections `inference` and `upstreams` of the gateway's configuration: what is served here, and which servers elsewhere. */
import { resolve } from 'node:path'
import * as v from 'valibot'
import { UsageError } from '../runtime/base/errors.ts'
import type { BackendsConfig, UpstreamConfig } from './offload/backends/kind.ts'
import { tasks } from './offload/tasks.ts'

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(1024))
const modelName = v.pipe(v.string(), v.minLength(1), v.maxLength(256))
const count = (min: number, max: number) =>
  v.pipe(
    v.number(),
    v.integer(),
    v.minValue(min, `is not within ${min} to ${max}`),
    v.maxValue(max, `is not within ${min} to ${max}`),
  )

export const inferenceSchema = v.strictObject({
  /** Models of `ganglion models list` that this gateway fetches and serves. */
  models: v.optional(v.pipe(v.array(modelName), v.maxLength(64)), []),
  /** Folders with a folder a model, besides what `ganglion models add` added: `model.yaml` and the files that it names. */
  folders: v.optional(v.pipe(v.array(text), v.maxLength(16)), []),
  /** Memory of loaded models, megabytes; half of the machine's where not said. */
  budgetMb: v.optional(count(16, 16 * 2 ** 20)),
  /** Engine processes, each with its own copy of a model; one a core but one where not said. */
  workers: v.optional(count(1, 64)),
  /** Threads of one session; as many as the cores leave to each worker where not said. */
  threads: v.optional(count(1, 256)),
  /** Requests that wait, of all models together: seconds of work for most. */
  queueMax: v.optional(count(1, 10_000), 256),
  /** Inputs of all requests that wait or run, megabytes. */
  inputsMb: v.optional(count(1, 64 * 1024), 256),
})

const upstreamModel = v.union(
  [
    modelName,
    v.strictObject({
      name: modelName,
      task: v.optional(v.picklist(tasks)),
      /** The same inputs give the same outputs: it may be asked again, elsewhere. */
      idempotent: v.optional(v.boolean()),
      cacheS: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(86_400))),
      /** Of one request, in the currency of `device.inference.routing.msPerPrice`: one for the whole site, which nobody converts. */
      price: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1e6))),
    }),
  ],
  'is neither a name nor {name, task?: chat | embeddings | transcription, idempotent?, cacheS?, price?}',
)

const upstream = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'is not an id such as triton-1')),
  kind: v.picklist(
    ['oip', 'openai'],
    'is not oip (Triton, KServe, OpenVINO) or openai (vLLM, llama.cpp, Ollama, a cloud)',
  ),
  url: v.pipe(
    v.string(),
    v.check(
      (url) => URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol),
      'is not a URL like http://host:8000',
    ),
  ),
  /** Where it computes. */
  reach: v.optional(v.picklist(['site', 'cloud'], 'is not site or cloud')),
  /** Of reach `cloud`: what is personal in texts is hidden on the way there, unless this is false. */
  redact: v.optional(v.boolean()),
  /** File with its API key. */
  keyFile: v.optional(text),
  /** Environment variable with its API key. */
  keyEnv: v.optional(
    v.pipe(v.string(), v.regex(/^[A-Z][A-Z0-9_]{0,127}$/, 'is not a name like VLLM_API_KEY')),
  ),
  /** Its models; where not said, those that it lists. */
  models: v.optional(v.pipe(v.array(upstreamModel), v.minLength(1), v.maxLength(256))),
  /** Of `openai`: it takes vLLM's `priority`. */
  priority: v.optional(v.boolean(), false),
  /** Of `oip`: binary tensors even where its metadata does not name the extension, or never. */
  binary: v.optional(v.boolean()),
  /** Requests for one model at once; more wait here. */
  concurrency: v.optional(count(1, 1024), 16),
})
export const upstreamsSchema = v.pipe(v.array(upstream), v.maxLength(32))

export interface InferenceConfig extends BackendsConfig {
  readonly queueMax: number
  readonly bytesMax: number
}

type Environment = Readonly<Record<string, string | undefined>>
export type ReadSecret = (path: string, where: string) => string

/** Throws UsageError with one line. `where` names the gateway's section. */
export function inferenceConfig(
  inference: v.InferOutput<typeof inferenceSchema>,
  upstreams: v.InferOutput<typeof upstreamsSchema>,
  where: string,
  env: Environment,
  secret: ReadSecret,
): InferenceConfig {
  const { models, folders, budgetMb, workers, threads, queueMax, inputsMb } = inference
  const seen = new Set(['pool'])
  for (const [index, { id }] of upstreams.entries()) {
    if (seen.has(id))
      throw new UsageError(
        `${where}.upstreams.${index}.id: ${id} is taken; each backend has an id of its own`,
      )
    seen.add(id)
  }
  return {
    queueMax,
    bytesMax: inputsMb * 2 ** 20,
    pool:
      models.length + folders.length === 0
        ? undefined
        : { models, folders: folders.map((folder) => resolve(folder)), workers, budgetMb, threads },
    upstreams: upstreams.map((one, index) => upstreamConfig(one, `${where}.upstreams.${index}`, env, secret)),
  }
}

function upstreamConfig(
  one: v.InferOutput<typeof upstream>,
  where: string,
  env: Environment,
  secret: ReadSecret,
): UpstreamConfig {
  const { id, kind, reach, redact, keyFile, keyEnv, models, priority, binary, concurrency } = one
  if (reach === undefined)
    throw new UsageError(`${where}.reach: say site or cloud: it decides what may be sent to ${id}`)
  const url = new URL(one.url)
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new UsageError(`${where}.url: no user, password or query here; a key goes to keyFile or keyEnv`)
  if (reach === 'cloud' && url.protocol !== 'https:')
    throw new UsageError(`${where}.url: what goes to a cloud goes over https`)
  if (reach === 'site' && redact !== undefined)
    throw new UsageError(`${where}.redact: only where reach is cloud; what stays on the site goes as it is`)
  if (keyFile !== undefined && keyEnv !== undefined)
    throw new UsageError(`${where}: give either keyFile or keyEnv`)
  if (keyEnv !== undefined && !env[keyEnv]) throw new UsageError(`${where}.keyEnv: ${keyEnv} is not set`)
  if (kind === 'oip' && priority)
    throw new UsageError(`${where}.priority: only of kind openai; an oip server says itself what it takes`)
  if (kind === 'openai' && binary !== undefined) throw new UsageError(`${where}.binary: only of kind oip`)
  const key = keyFile === undefined ? keyEnv && env[keyEnv] : secret(keyFile, `${where}.keyFile`)
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key))
    throw new UsageError(`${where}: its key has characters that no key has (spaces, line breaks)`)
  return {
    id,
    kind,
    url: url.href.replace(/\/+$/, ''),
    reach,
    redact: reach === 'cloud' ? (redact ?? true) : undefined,
    key,
    models: models?.map((model) => (typeof model === 'string' ? { name: model } : model)),
    priority,
    binary,
    concurrency,
  }
}
