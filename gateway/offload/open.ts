/** Opens the backends of a configuration and the service in front of them. */
import type { Clock } from '../../runtime/base/clock.ts'
import type { Log } from '../../runtime/base/log.ts'
import { backendKinds } from './backends/index.ts'
import type { BackendsConfig } from './backends/kind.ts'
import type { SiteNames } from './cloud-texts.ts'
import { ResultCache } from './result-cache.ts'
import { InferenceService, type ServiceOptions } from './service.ts'

/** Waits for no server and no download: they become ready later, and health says so. */
export async function openInference(
  deps: { readonly clock: Clock; readonly log: Log; readonly names?: SiteNames },
  config: BackendsConfig & ServiceOptions,
  signal: AbortSignal,
): Promise<InferenceService> {
  await using stack = new AsyncDisposableStack()
  const opened = []
  for (const kind of backendKinds)
    for (const backend of await kind.open(deps, config, signal)) opened.push(stack.use(backend))
  const { queueMax, bytesMax } = config
  const unredacted = new Set(config.upstreams.flatMap(({ id, redact }) => (redact === false ? [id] : [])))
  const service = new InferenceService(
    { ...deps, backends: opened, cache: new ResultCache(deps.clock) },
    { queueMax, bytesMax, unredacted },
  )
  stack.move()
  return service
}
