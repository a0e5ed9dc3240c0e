/**
 * All inference of one device, opened in order: what the machine allows, the engines, the models that they serve, accelerators,
 * the gateways, and the router before all of them. One engine serves whoever asks; it starts with the first request.
 */
import { join } from 'node:path'
import type { Hal, OpenBoard } from '../../hal/contract/board.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { programPath } from '../base/program.ts'
import type { DeviceConfig } from '../config/config.ts'
import type { Link } from '../link/session.ts'
import type { EntityRegistry } from '../things/registry.ts'
import { AcceleratorRoute } from './accelerator-route.ts'
import { Accelerators } from './accelerators.ts'
import { deviceConditions } from './device-conditions.ts'
import { EngineRoute } from './engine-route.ts'
import { readMeasuredPlan } from './measured-plan.ts'
import { models, voiceModels } from './models/index.ts'
import { OffloadClient } from './offload/offload-client.ts'
import { offloadRoutes } from './offload/offload-route.ts'
import { namesOf, redactorOf } from './redaction/home-names.ts'
import type { KnownName } from './redaction/redactor.ts'
import type { Route } from './router/route.ts'
import { Router } from './router/router.ts'
import { ServedModels } from './served-models.ts'
import { AddedModels } from './store/added-models.ts'
import { addedFolder, factsFolder } from './store/models-dir.ts'
import { ModelStore } from './store/store.ts'
import { EngineSupervisor } from './supervisor/engine-supervisor.ts'
import type { Engines } from './supervisor/engines.ts'
import { machineLimits } from './supervisor/machine-limits.ts'
import { checkModel } from './supervisor/model-check.ts'
import { type EnginePlan, planEngines } from './supervisor/plan.ts'

export interface DeviceInferenceDeps {
  readonly clock: Clock
  readonly log: Log
  readonly hal: Hal
  readonly board: OpenBoard
  readonly registry: EntityRegistry
  readonly link: Link
}

export interface DeviceInference extends AsyncDisposable {
  /** Where every part of the device asks. */
  readonly router: Router
  readonly engines: Engines
  readonly served: ServedModels
  readonly added: AddedModels
  readonly accelerators: Accelerators
  readonly plan: EnginePlan
  /** The places where the router may send a request. */
  readonly routes: readonly Route[]
}

export async function openInference(
  deps: DeviceInferenceDeps,
  config: DeviceConfig,
  signal: AbortSignal,
): Promise<DeviceInference> {
  const { clock, log, board, registry } = deps
  await using stack = new AsyncDisposableStack()
  const plan = await planOf(config, board)
  const engines = stack.use(await openEngines({ clock, log }, plan, signal))
  const { dir } = config.models
  const store = stack.use(await ModelStore.open({ clock, log }, { dir, manifests: models }, signal))
  const served = stack.use(
    await ServedModels.open({ clock, log, store, engines }, servedOptions(config), signal),
  )
  const added = stack.use(await openAdded({ clock, log }, served, config, signal))
  const accelerators = stack.use(
    await Accelerators.open({ ...deps, engines: served.share('accelerators') }, config.accelerators, signal),
  )
  const routes = await openRoutes(deps, { served, accelerators, plan }, config, stack, signal)
  const router = stack.use(
    new Router(
      {
        clock,
        log,
        routes: () => routes,
        conditions: () => deviceConditions(board, registry, engines, plan.budgetMb),
        plan: (model) => served.get(model),
        redactor: redactorOf(() => namesIn(registry)),
      },
      { allow: config.inference.allow, ...config.inference.routing, ...hotFrom(board) },
    ),
  )
  const opened = stack.move()
  return {
    ...{ router, engines, served, added, accelerators, plan, routes },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function planOf({ stateDir, inference }: DeviceConfig, { board }: OpenBoard): Promise<EnginePlan> {
  const machine = await machineLimits()
  const measured = await readMeasuredPlan(stateDir, machine)
  const { budgetMb, threads, workers } = inference
  const boardBudgetMb = board.memoryBudgetMb.engine
  return planEngines(machine, { role: 'device', budgetMb, threads, workers, boardBudgetMb, measured })
}

/** Lazy: no process before somebody asks a model something. */
async function openEngines(
  deps: { readonly clock: Clock; readonly log: Log },
  { workers, intraOpThreads, budgetMb }: EnginePlan,
  signal: AbortSignal,
): Promise<Engines> {
  const options = { entry: programPath('engine'), models: [], intraOpThreads, budgetMb }
  if (workers === 1) return EngineSupervisor.open(deps, options, signal)
  const { EnginePool } = await import('./supervisor/engine-pool.ts')
  return EnginePool.open(deps, { ...options, workers }, signal)
}

function servedOptions({ inference, voice }: DeviceConfig) {
  const { threads } = voice
  return {
    pin: inference.pin,
    intraOpThreads:
      threads === undefined ? {} : Object.fromEntries(voiceModels.map((name) => [name, threads])),
  }
}

function openAdded(
  deps: { readonly clock: Clock; readonly log: Log },
  served: ServedModels,
  { models: { dir }, inference }: DeviceConfig,
  signal: AbortSignal,
): Promise<AddedModels> {
  return AddedModels.open(
    {
      ...deps,
      check: (model, checkSignal) => checkModel(deps, model, checkSignal, { entry: programPath('engine') }),
    },
    {
      folders: [join(dir, addedFolder), ...inference.folders],
      factsDir: join(dir, factsFolder),
      taken: (name) => served.known.has(name),
      onChange: (list) => served.setAdded(list),
    },
    signal,
  )
}

async function openRoutes(
  { clock, log, link, board }: DeviceInferenceDeps,
  parts: { readonly served: ServedModels; readonly accelerators: Accelerators; readonly plan: EnginePlan },
  config: DeviceConfig,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<readonly Route[]> {
  const { served, accelerators, plan } = parts
  const { wattsPerBusyCore } = board.board
  const here = [
    new EngineRoute(served, { wattsPerBusyCore, threads: plan.intraOpThreads }),
    ...accelerators.list.map((accelerator) => new AcceleratorRoute({ clock, served }, accelerator)),
  ]
  const { allow, gateways } = config.inference
  if (allow === 'device') return here
  const gatewayUrls = config.gateway === undefined ? gateways : [config.gateway, ...gateways]
  const options = { deviceId: config.id, gatewayUrls, allow }
  const client = stack.use(await OffloadClient.open({ clock, log, link }, options, signal))
  return [...here, ...offloadRoutes(client)]
}

/** A board is hot where its maker says so. */
function hotFrom({ board }: OpenBoard): { readonly hotC?: number } {
  const limits = board.thermal.map(({ warnC }) => warnC)
  return limits.length === 0 ? {} : { hotC: Math.min(...limits) }
}

/** What this home's rooms and things are called. */
function namesIn(registry: EntityRegistry): readonly KnownName[] {
  const { areas, entities } = registry.view()
  return namesOf({ areas, things: entities.map(({ info }) => info) })
}
