/**
 * The models that this device serves, in one list: those that Ganglion knows and whose files are here, those that a person
 * added, and those that an accelerator's fall-back brings. Each part puts its own; nobody replaces another's. The engines are
 * told of every change.
 */
import { type Clock, sleep } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { backoffMs } from '../base/retry.ts'
import type { EngineModel, TensorSpec } from '../wire/engine-protocol.ts'
import { InferError } from '../wire/infer.ts'
import type { AddedModel } from './store/added-models.ts'
import { engineModelOf, specOf } from './store/engine-model.ts'
import type { ModelManifest } from './store/manifest.ts'
import type { EnsureOptions, ModelStore } from './store/store.ts'
import type { Engines } from './supervisor/engines.ts'

/** What is served under a name, for whoever shows or routes it. */
export interface ServedModel {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly licence: string
  /** `ganglion`: of the list that is shipped; else the folder that a person put it into. */
  readonly from: string
  readonly task?: string | undefined
  readonly idempotent: boolean
  readonly cacheS?: number | undefined
  readonly engine: EngineModel
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Bytes on disk. */
  readonly bytes: number
  /** Another one where a file under the same path has changed. */
  readonly revision: string
  /** The larger model that answers where this one is not sure. */
  readonly cascade?: ModelManifest['cascade']
  /** The pairs of models that it can be cut into. */
  readonly split?: ModelManifest['split']
}

export interface ServedModelsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly store: ModelStore
  readonly engines: Engines
}

export interface ServedModelsOptions {
  /** Models that stay loaded whatever else wants their memory. */
  readonly pin?: readonly string[]
  /** Threads of single models. */
  readonly intraOpThreads?: Readonly<Record<string, number>>
}

/** As many as one list of the engine takes. */
const modelsMax = 64
/** How often a model is looked for that `ganglion models pull` may have fetched: a few system calls. */
const lookEveryMs = 2_000
/** Between attempts to fetch: a home's network comes back in minutes, a registry's in an hour. */
const fetchBackoff = { firstMs: 5_000, maxMs: 15 * 60_000 }

export class ServedModels implements AsyncDisposable {
  readonly engines: Engines
  readonly #deps: ServedModelsDeps
  readonly #options: ServedModelsOptions
  readonly #known: ReadonlyMap<string, ModelManifest>
  readonly #here = new Map<string, ServedModel>()
  readonly #others = new Map<string, readonly EngineModel[]>()
  #added: readonly AddedModel[] = []
  /** Why a model that somebody wants is not here. */
  readonly #missing = new Map<string, string>()
  readonly #keeping = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #looking: Promise<void> = Promise.resolve()

  private constructor(deps: ServedModelsDeps, options: ServedModelsOptions, known: readonly ModelManifest[]) {
    this.engines = deps.engines
    this.#deps = deps
    this.#options = options
    this.#known = new Map(known.map((manifest) => [manifest.name, manifest]))
  }

  /** Serves what is in the store, now and later, whoever fetched it; fetches and loads nothing. */
  static async open(
    deps: ServedModelsDeps,
    options: ServedModelsOptions,
    signal: AbortSignal,
  ): Promise<ServedModels> {
    const list = await deps.store.list()
    signal.throwIfAborted()
    const served = new ServedModels(
      deps,
      options,
      list.map(({ manifest }) => manifest),
    )
    for (const { manifest, present } of list) if (present) await served.#take(manifest.name)
    served.#tell()
    served.#looking = served.#lookForFetched(served.#stop.signal)
    return served
  }

  /** Names that Ganglion knows, here or not. */
  get known(): ReadonlyMap<string, ModelManifest> {
    return this.#known
  }

  /** Served now. */
  list(): ServedModel[] {
    return [...this.#here.values(), ...this.#added.map((one) => this.#ofAdded(one))]
  }

  get(name: string): ServedModel | undefined {
    const added = () => this.#added.find(({ manifest }) => manifest.name === name)
    const here = this.#here.get(name)
    if (here) return here
    const one = added()
    return one && this.#ofAdded(one)
  }

  /** Why a model of that name is not served, and what to do. */
  whyNot(name: string): string {
    const missing = this.#missing.get(name)
    if (missing !== undefined) return `model ${name} is not here yet: ${missing}`
    if (this.#known.has(name))
      return `model ${name} is not here: fetch it with "ganglion models pull ${name}"`
    const names = this.list().map((model) => model.name)
    return `no model is named ${name}; there are: ${names.join(', ') || 'none'}`
  }

  /** Wanted models that are not here, and why. */
  get missing(): readonly { readonly name: string; readonly reason: string }[] {
    return [...this.#missing].map(([name, reason]) => ({ name, reason }))
  }

  /** One line for each of them. */
  get problems(): string[] {
    return this.missing.map(({ name, reason }) => `model ${name} is not here yet: ${reason}`)
  }

  /** Makes sure that a model is served, fetched first if need be. Throws StoreError, InferError `model-unknown`. */
  async ensure(name: string, options: EnsureOptions): Promise<void> {
    if (this.get(name)) return
    if (!this.#known.has(name)) throw new InferError('model-unknown', this.whyNot(name))
    try {
      await this.#deps.store.ensure(name, options)
    } catch (error) {
      this.#missing.set(name, messageOf(error))
      throw error
    }
    this.#missing.delete(name)
    await this.#take(name)
    this.#tell()
  }

  /** The same behind everything else, tried again, later and later, until they are here or this is closed. */
  want(names: readonly string[]): void {
    for (const name of names) {
      if (this.get(name)) continue
      if (!this.#known.has(name)) {
        this.#missing.set(
          name,
          'it is none of those that Ganglion fetches, add it with "ganglion models add"',
        )
        continue
      }
      this.#missing.set(name, 'it is being fetched')
      const keeping: Promise<void> = this.#fetch(name, this.#stop.signal).finally(() =>
        this.#keeping.delete(keeping),
      )
      this.#keeping.add(keeping)
    }
  }

  /** Replaces what people have added. One that changed under its name is loaded anew. */
  setAdded(models: readonly AddedModel[]): void {
    const before = new Map(this.#added.map((one) => [one.manifest.name, one.revision]))
    const changed = (one: AddedModel) => (before.get(one.manifest.name) ?? one.revision) !== one.revision
    if (models.some(changed)) {
      this.#added = models.filter((one) => !changed(one))
      this.#tell()
    }
    this.#added = models
    for (const { manifest } of models) this.#missing.delete(manifest.name)
    this.#tell()
  }

  /** The engines as one part of the device sees them: the list that it sets is its own, beside everybody else's. */
  share(part: string): Engines {
    const { engines } = this
    const own = () => this.#others.get(part) ?? []
    return {
      get models() {
        return own()
      },
      setModels: (models) => {
        this.#others.set(part, models)
        this.#tell()
      },
      signatureOf: (name) => engines.signatureOf(name),
      preload: (name, signal) => engines.preload(name, signal),
      unload: (name) => engines.unload(name),
      setBudget: () => {},
      outlook: (name) => engines.outlook(name),
      status: () => engines.status(),
      infer: (request, signal) => engines.infer(request, signal),
      [Symbol.asyncDispose]: async () => {
        this.#others.delete(part)
        this.#tell()
      },
    }
  }

  /** Ends what is being fetched. Engines and store belong to whoever made them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#keeping, this.#looking])
  }

  /** What another process fetches is served without a restart, and what it removes is served no more. */
  async #lookForFetched(signal: AbortSignal): Promise<void> {
    const { clock, store } = this.#deps
    while (!signal.aborted) {
      await sleep(clock, lookEveryMs, signal).catch(() => {})
      if (signal.aborted) return
      for (const name of this.#known.keys()) {
        const was = this.#here.has(name)
        if (!was) await this.#take(name)
        else if (!(await store.local(name))) this.#here.delete(name)
        if (this.#here.has(name) === was) continue
        this.#missing.delete(name)
        this.#tell()
      }
    }
  }

  async #fetch(name: string, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await this.ensure(name, { signal })
        return
      } catch (error) {
        if (signal.aborted) return
        log.warn('a model is not here, tried again later', { model: name, reason: messageOf(error) })
        await sleep(clock, backoffMs(attempt, fetchBackoff, clock.random()), signal).catch(() => {})
      }
    }
  }

  async #take(name: string): Promise<void> {
    const manifest = this.#known.get(name)
    const local = manifest && (await this.#deps.store.local(name))
    if (!manifest || !local) return
    const { version, description, licence, task, idempotent, cacheS, cascade, split } = manifest
    this.#here.set(name, {
      name,
      version,
      description,
      licence,
      from: 'ganglion',
      task,
      idempotent,
      cacheS,
      engine: this.#withWishes(engineModelOf(manifest, local.files)),
      inputs: manifest.inputs.map(specOf),
      outputs: manifest.outputs.map(specOf),
      bytes: local.bytes,
      revision: version,
      cascade,
      split,
    })
  }

  #ofAdded({ manifest, folder, engine, inputs, outputs, bytes, revision }: AddedModel): ServedModel {
    const { name, version, description, licence, task, idempotent, cacheS, cascade, split } = manifest
    return {
      ...{ name, version, description, licence, from: folder, task, idempotent, cacheS, cascade, split },
      ...{ engine: this.#withWishes(engine), inputs, outputs, bytes, revision },
    }
  }

  /** What the configuration says of a model. */
  #withWishes(model: EngineModel): EngineModel {
    const { pin = [], intraOpThreads = {} } = this.#options
    const threads = intraOpThreads[model.name]
    return {
      ...model,
      ...(pin.includes(model.name) ? { pin: true } : {}),
      ...(threads === undefined ? {} : { options: { ...model.options, intraOpThreads: threads } }),
    }
  }

  #tell(): void {
    const all = [...this.list().map(({ engine }) => engine), ...[...this.#others.values()].flat()]
    const names = new Set<string>()
    const unique = all.filter(({ name }) => !names.has(name) && names.add(name))
    if (unique.length > modelsMax)
      this.#deps.log.warn('too many models, the last ones are not served', {
        models: unique.length,
        modelsMax,
      })
    this.engines.setModels(unique.slice(0, modelsMax))
  }
}
