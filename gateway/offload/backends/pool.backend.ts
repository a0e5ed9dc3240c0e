/**
 * The gateway's own engines: opened where the configuration names models or folders for them, with what feeds them. What they
 * need is loaded here, so that a gateway without models lacks it.
 */
import { join } from 'node:path'
import type { Clock } from '../../../runtime/base/clock.ts'
import { UsageError } from '../../../runtime/base/errors.ts'
import type { Log } from '../../../runtime/base/log.ts'
import type { ModelManifest } from '../../../runtime/inference/store/manifest.ts'
import { speechDetector } from '../tasks.ts'
import type { Backend } from './backend.ts'
import type { BackendKind, PoolConfig } from './kind.ts'

/** Of all models in one engine; their inputs are bounded by the gateway's admission. */
const engineQueueMax = 512

/** Throws UsageError for a model that nobody knows. Waits for no download; engines start with their first request. */
async function openPool(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  config: PoolConfig,
  signal: AbortSignal,
): Promise<Backend> {
  const { PoolBackend } = await import('./local-pool.ts')
  const { ModelStore } = await import('../../../runtime/inference/store/store.ts')
  const { AddedModels } = await import('../../../runtime/inference/store/added-models.ts')
  const { addedFolder, factsFolder } = await import('../../../runtime/inference/store/models-dir.ts')
  const { EnginePool } = await import('../../../runtime/inference/supervisor/engine-pool.ts')
  const { checkModel } = await import('../../../runtime/inference/supervisor/model-check.ts')
  const deps = { clock, log: log.named('pool') }
  const entry = await engineEntry()
  const plan = await planOf(config)
  deps.log.info('engines are planned', { reasons: plan.reasons.join('; ') })
  await using opening = new AsyncDisposableStack()
  const owned = opening.use(new AsyncDisposableStack())
  const store = owned.use(await ModelStore.open(deps, await storeOptions(), signal))
  const known = new Map((await store.list()).map(({ manifest }) => [manifest.name, manifest]))
  const { workers, intraOpThreads, budgetMb } = plan
  const engines = owned.use(
    await EnginePool.open(
      deps,
      { models: [], entry, workers, intraOpThreads, budgetMb, queueMax: engineQueueMax, start: 'lazy' },
      signal,
    ),
  )
  const backend = opening.use(
    new PoolBackend(
      { ...deps, store, engines, owned },
      { models: wantedModels(config.models, known), workers },
    ),
  )
  const added: import('../../../runtime/inference/store/added-models.ts').AddedModels = owned.use(
    await AddedModels.open(
      {
        ...deps,
        check: async (model, checking) => {
          const found = await checkModel(deps, model, checking, { entry })
          return { ...found, inputs: [...found.inputs], outputs: [...found.outputs] }
        },
      },
      {
        // What `ganglion models add` put there is served too, and what a device of this machine found out about it is used.
        folders: [...new Set([join(store.dir, addedFolder), ...config.folders])],
        factsDir: join(store.dir, factsFolder),
        taken: (name) => known.has(name),
        onChange: () => backend.setAdded(added.models, added.problems),
      },
      signal,
    ),
  )
  opening.move()
  return backend
}

async function engineEntry(): Promise<string> {
  const { programPath } = await import('../../../runtime/base/program.ts')
  return programPath('engine')
}

async function storeOptions() {
  const { defaultModelsDir } = await import('../../../runtime/inference/store/models-dir.ts')
  const { models } = await import('../../../runtime/inference/models/index.ts')
  return { dir: defaultModelsDir(), manifests: models }
}

async function planOf({ workers, threads, budgetMb }: PoolConfig) {
  const { planEngines } = await import('../../../runtime/inference/supervisor/plan.ts')
  const { machineLimits } = await import('../../../runtime/inference/supervisor/machine-limits.ts')
  return planEngines(await machineLimits(), { role: 'gateway', workers, threads, budgetMb })
}

/** The named ones, and the detector that every transcriber of speech needs. */
function wantedModels(
  names: readonly string[],
  known: ReadonlyMap<string, ModelManifest>,
): readonly ModelManifest[] {
  const wanted = new Map<string, ModelManifest>()
  for (const name of names) {
    const manifest = known.get(name)
    if (!manifest)
      throw new UsageError(
        `gateway.inference.models: no model is named ${name}; there are: ${[...known.keys()].join(', ')}`,
      )
    wanted.set(name, manifest)
    const detector = known.get(speechDetector)
    if (manifest.task === 'transcription' && detector) wanted.set(speechDetector, detector)
  }
  return [...wanted.values()]
}

/** One, or none. */
export const poolKind: BackendKind = {
  kind: 'pool',
  open: async (deps, { pool }, signal) => (pool ? [await openPool(deps, pool, signal)] : []),
}
