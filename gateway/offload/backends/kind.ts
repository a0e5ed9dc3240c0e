/** A kind of backend: how the configuration becomes backends. */
import type { Clock } from '../../../runtime/base/clock.ts'
import type { Log } from '../../../runtime/base/log.ts'
import type { Backend } from './backend.ts'

/** A model as the configuration declares it, of a server that cannot say it all. */
export interface UpstreamModel {
  readonly name: string
  readonly task?: string | undefined
  readonly idempotent?: boolean | undefined
  readonly cacheS?: number | undefined
  readonly price?: number | undefined
}

/** The gateway's own engines. */
export interface PoolConfig {
  readonly models: readonly string[]
  /** Each holds one folder a model that a person added. */
  readonly folders: readonly string[]
  /** Undefined: as the machine allows. */
  readonly budgetMb: number | undefined
  readonly workers: number | undefined
  readonly threads: number | undefined
}

/** A server elsewhere; secrets are read. */
export interface UpstreamConfig {
  readonly id: string
  readonly kind: 'oip' | 'openai'
  readonly url: string
  readonly reach: Backend['reach']
  readonly key?: string | undefined
  /** Of reach `cloud`: false where texts go there as they are. */
  readonly redact?: boolean | undefined
  readonly models?: readonly UpstreamModel[] | undefined
  readonly binary?: boolean | undefined
  readonly priority: boolean
  readonly concurrency: number
}

export interface BackendsConfig {
  /** Undefined: no model is served here. */
  readonly pool: PoolConfig | undefined
  readonly upstreams: readonly UpstreamConfig[]
}

export interface BackendKind {
  readonly kind: string
  /** As many as the configuration has of this kind. None is waited for: a server that is away becomes ready later. */
  open(
    deps: { readonly clock: Clock; readonly log: Log },
    config: BackendsConfig,
    signal: AbortSignal,
  ): Promise<readonly Backend[]>
}
