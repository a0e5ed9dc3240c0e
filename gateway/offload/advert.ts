/** What a worker says that it offers: its models and how busy each is, from what the service knows. */
import { wireLimits } from '../../runtime/wire/limits.ts'
import { type Advert, type AdvertModel, type Credits, offloadVersion } from '../../runtime/wire/offload.ts'
import type { ModelLoad, Serving } from './serving.ts'

/** At most 128 KiB as JSON: models that do not fit are left out, the last ones first. */
export function advertOf(worker: string, serving: Serving, credits: Credits): Advert {
  const loads = new Map(serving.load().map((load) => [load.model, load]))
  const models: AdvertModel[] = []
  let bytes = 1024
  for (const { name, version, idempotent, task } of serving.models()) {
    const model = modelOf({ name, version, idempotent, ...(task && { task }) }, loads.get(name))
    bytes += Buffer.byteLength(JSON.stringify(model)) + 1
    if (bytes > wireLimits.mqttPayloadBytesMax || models.length >= modelsMax) break
    models.push(model)
  }
  return { v: offloadVersion, worker, models, credits }
}

/** As the wire's schema has it. */
const modelsMax = 512

type Served = Pick<AdvertModel, 'name' | 'version' | 'idempotent' | 'task'>

/** Rounded: an advert that says the same is not said again. */
function modelOf(served: Served, load: ModelLoad | undefined): AdvertModel {
  return {
    ...served,
    reach: load?.reach ?? 'site',
    queueMs: Math.round(load?.queueMs ?? 0),
    queued: load?.queued ?? 0,
    running: load?.running ?? 0,
    ...(load?.p50Ms !== undefined && { p50Ms: tenth(load.p50Ms) }),
    ...(load?.p95Ms !== undefined && { p95Ms: tenth(load.p95Ms) }),
    loaded: load?.loaded ?? false,
    ...(load?.loadMs !== undefined && { loadMs: Math.round(load.loadMs) }),
    price: load?.price ?? 0,
  }
}

const tenth = (ms: number) => Math.round(ms * 10) / 10
