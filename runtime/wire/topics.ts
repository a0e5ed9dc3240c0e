/** The topics: one place that builds and reads them. `base` and ids are checked, so that no id can climb a level. */

const idPattern = /^[a-z0-9][a-z0-9_.-]{0,127}$/i
const basePattern = /^[a-z0-9_-]+(\/[a-z0-9_-]+)*$/i

export type DeviceTopic =
  | { readonly kind: 'availability'; readonly device: string }
  | { readonly kind: 'home'; readonly device: string }
  | { readonly kind: 'agents'; readonly device: string }
  | { readonly kind: 'state'; readonly device: string; readonly entity: string }
  | { readonly kind: 'set'; readonly device: string; readonly entity: string }
  | { readonly kind: 'event'; readonly device: string; readonly event: string }
  | { readonly kind: 'rpc'; readonly device: string; readonly method: string }

export const gatewayAsks = ['infer', 'ticket', 'cancel'] as const
export type GatewayAsk = (typeof gatewayAsks)[number]

export type GatewayTopic =
  | { readonly kind: 'advert'; readonly worker: string }
  | { readonly kind: GatewayAsk; readonly worker: string; readonly device: string }

/** Levels that mean something else where a device stands in the worker's place: a device may be called `gateway`. */
const deviceLevels: ReadonlySet<string> = new Set([
  'availability',
  'home',
  'agents',
  'state',
  'set',
  'event',
  'rpc',
  'reply',
  'twin',
  'identity',
])

/** A topic id that is not taken for something else below `<base>/gateway/`. */
export function isWorkerId(id: string): boolean {
  return isTopicId(id) && !deviceLevels.has(id)
}

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
  /** Retained: its agents, and what waits for a person. */
  agents(device: string): string {
    return this.#device(device, 'agents')
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
  /** Under which key the device signs, retained. */
  identity(device: string): string {
    return this.#device(device, 'identity')
  }
  /** A fact that the devices of a site share, retained; with `device`: what it says when one compares and sets. */
  board(key: string, device?: string): string {
    return this.#device('site', 'board', key, ...(device === undefined ? [] : [device]))
  }
  /** What `device` says in a joint decision. */
  decide(id: string, device: string): string {
    return this.#device('site', 'decide', id, device)
  }
  /** Who holds a lease, retained; with `device`: what it says about it. */
  lease(name: string, device?: string): string {
    return this.#device('site', 'lease', name, ...(device === undefined ? [] : [device]))
  }
  /** What `from` says to `to` about commands to its things. */
  command(to: string, from: string): string {
    return this.#device('site', 'command', to, from)
  }
  /** What `from` says to `to` about an agent that goes from one to the other; with `id`, retained: that it goes on with `from`. */
  move(to: string, from: string, id?: string): string {
    return this.#device('site', 'move', to, from, ...(id === undefined ? [] : [id]))
  }
  /** What `from` says to `to` about calls between their agents. */
  call(to: string, from: string): string {
    return this.#device('site', 'call', to, from)
  }
  /** The levels of a topic under `<base>/`; undefined for any other topic. */
  levels(topic: string): readonly string[] | undefined {
    const levels = topic.slice(this.base.length + 1).split('/')
    return topic.startsWith(`${this.base}/`) && levels.every(isTopicId) ? levels : undefined
  }
  /** Where answers to a caller go; carried inside the request as `replyTo`. `key`: one of several, known to few. */
  reply(caller: string, key?: string): string {
    return this.#device(caller, 'reply', ...(key === undefined ? [] : [key]))
  }
  /** Whose reply topic this is; undefined for any other topic. */
  replyOf(topic: string): string | undefined {
    if (!topic.startsWith(`${this.base}/`)) return undefined
    const [caller = '', kind, key, ...rest] = topic.slice(this.base.length + 1).split('/')
    const fits = isTopicId(caller) && kind === 'reply' && rest.length === 0
    return fits && (key === undefined || isTopicId(key)) ? caller : undefined
  }

  /** What one worker of a gateway offers, retained. Workers are told apart by id, so that several share one broker. */
  gatewayAdvert(worker: string): string {
    return this.#worker(worker, 'advert')
  }
  /** What `device` asks of a worker: `infer` takes requests, `ticket` asks for a place to upload one, `cancel` takes ids. */
  gatewayAsk(worker: string, ask: GatewayAsk, device: string): string {
    return this.#worker(worker, ask, device)
  }
  /** What a topic under `<base>/gateway/<worker>/` means; undefined for any other topic. */
  parseGateway(topic: string): GatewayTopic | undefined {
    const prefix = `${this.base}/gateway/`
    if (!topic.startsWith(prefix)) return undefined
    const [worker = '', kind, device, ...rest] = topic.slice(prefix.length).split('/')
    if (!isWorkerId(worker) || rest.length > 0) return undefined
    if (kind === 'advert') return device === undefined ? { kind, worker } : undefined
    const ask = gatewayAsks.find((one) => one === kind)
    return ask && device !== undefined && isTopicId(device) ? { kind: ask, worker, device } : undefined
  }

  /** What a topic under `<base>/<device>/` means; undefined for any other topic. */
  parse(topic: string): DeviceTopic | undefined {
    if (!topic.startsWith(`${this.base}/`)) return undefined
    const [device = '', kind, name, ...rest] = topic.slice(this.base.length + 1).split('/')
    if (!isTopicId(device) || rest.length > 0) return undefined
    if (kind === 'availability' || kind === 'home' || kind === 'agents')
      return name === undefined ? { kind, device } : undefined
    if (name === undefined) return undefined
    if (!isTopicId(name)) return undefined
    if (kind === 'state' || kind === 'set') return { kind, device, entity: name }
    if (kind === 'event') return { kind, device, event: name }
    if (kind === 'rpc') return { kind, device, method: name }
    return undefined
  }

  #worker(worker: string, ...rest: string[]): string {
    if (worker !== '+' && !isWorkerId(worker))
      throw new Error(`not a worker id: ${JSON.stringify(worker.slice(0, 100))}`)
    return this.#device('gateway', worker, ...rest)
  }

  #device(device: string, ...rest: string[]): string {
    for (const part of [device, ...rest]) {
      if (part !== '+' && !isTopicId(part))
        throw new Error(`not a topic id: ${JSON.stringify(part.slice(0, 100))}`)
    }
    return [this.base, device, ...rest].join('/')
  }
}
