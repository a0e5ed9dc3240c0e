/** The topics: one place that builds and reads them. `base` and ids are checked, so that no id can climb a level. */

const idPattern = /^[a-z0-9][a-z0-9_.-]{0,127}$/i
const basePattern = /^[a-z0-9_-]+(\/[a-z0-9_-]+)*$/i

export type DeviceTopic =
  | { readonly kind: 'availability'; readonly device: string }
  | { readonly kind: 'home'; readonly device: string }
  | { readonly kind: 'state'; readonly device: string; readonly entity: string }
  | { readonly kind: 'set'; readonly device: string; readonly entity: string }
  | { readonly kind: 'event'; readonly device: string; readonly event: string }
  | { readonly kind: 'rpc'; readonly device: string; readonly method: string }

export function isTopicId(id: string): boolean {
  return idPattern.test(id)
}

export class Topics {
  readonly base: string

  /** Throws when `base` is not a plain topic prefix. */
  constructor(base: string) {
    if (!basePattern.test(base) || base.length > 100)
      throw new Error(`not a topic prefix: ${JSON.stringify(base.slice(0, 100))}`)
    this.base = base
  }

  availability(device: string): string {
    return this.#device(device, 'availability')
  }
  /** Retained description of the device's home: areas and entities. `+` subscribes to every device's. */
  home(device: string): string {
    return this.#device(device, 'home')
  }
  state(device: string, entity: string): string {
    return this.#device(device, 'state', entity)
  }
  set(device: string, entity: string): string {
    return this.#device(device, 'set', entity)
  }
  event(device: string, event: string): string {
    return this.#device(device, 'event', event)
  }
  rpc(device: string, method: string): string {
    return this.#device(device, 'rpc', method)
  }
  /** Where answers to a caller go; carried inside the request as `replyTo`. */
  reply(caller: string): string {
    return this.#device(caller, 'reply')
  }

  /**
   * Of one worker of a gateway: `infer/<model>` takes requests, `advert` says what it offers (retained), `cancel` takes ids of
   * requests nobody waits for. Workers are told apart by id, so that several share one broker. `+` subscribes to every one's.
   */
  gatewayInfer(worker: string, model: string): string {
    return this.#device('gateway', worker, 'infer', model)
  }
  gatewayAdvert(worker: string): string {
    return this.#device('gateway', worker, 'advert')
  }
  gatewayCancel(worker: string): string {
    return this.#device('gateway', worker, 'cancel')
  }

  /** What a topic under `<base>/<device>/` means; undefined for any other topic. */
  parse(topic: string): DeviceTopic | undefined {
    if (!topic.startsWith(`${this.base}/`)) return undefined
    const [device = '', kind, name, ...rest] = topic.slice(this.base.length + 1).split('/')
    if (!isTopicId(device) || rest.length > 0) return undefined
    if (kind === 'availability' || kind === 'home') return name === undefined ? { kind, device } : undefined
    if (name === undefined) return undefined
    if (!isTopicId(name)) return undefined
    if (kind === 'state' || kind === 'set') return { kind, device, entity: name }
    if (kind === 'event') return { kind, device, event: name }
    if (kind === 'rpc') return { kind, device, method: name }
    return undefined
  }

  #device(device: string, ...rest: string[]): string {
    for (const part of [device, ...rest]) {
      if (part !== '+' && !isTopicId(part))
        throw new Error(`not a topic id: ${JSON.stringify(part.slice(0, 100))}`)
    }
    return [this.base, device, ...rest].join('/')
  }
}
