/**
 * Things of other devices: sensed (`remote-things.ts`), commanded (`asking.ts`), and this device's own commanded by them (`answering.ts`).
 * All that is said about commands is signed by who says it (`agent/together/envelope.ts`).
 */
import { type Signer, seal, unseal } from '../../agent/together/envelope.ts'
import { type Cancel, type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { wireLimits } from '../../wire/limits.ts'
import { parseJson } from '../../wire/messages.ts'
import { type CommandOnce, remoteCommandBody, remoteCommandLimits } from '../../wire/remote-command.ts'
import { signedMessage } from '../../wire/signed.ts'
import { Answering, type AnsweringDeps, type Unaddressed } from './answering.ts'
import { Asking, type RemoteRequest } from './asking.ts'
import { type RemoteBus, RemoteThings } from './remote-things.ts'
import type { RemoteRuleOptions } from './rule.ts'

export interface RemoteDeps extends Pick<AnsweringDeps, 'registry' | 'actuation' | 'scheduler' | 'record'> {
  readonly clock: Clock
  readonly log: Log
  readonly bus: RemoteBus
  readonly signer: Signer
  /** Calls the listener with each device that is believed from then on. */
  readonly onNew: (listener: (device: string) => void) => Cancel
}

/** How long the key of a device that was just heard of is waited for. */
const keyMsMax = 3_000
const keyLookMs = 50
/** Strangers are told that they are, no more often. */
const strangerMs = 1_000

export class Remote implements AsyncDisposable {
  readonly things: RemoteThings
  readonly #deps: RemoteDeps
  readonly #asking: Asking
  readonly #answering: Answering
  readonly #cancels: readonly Cancel[]
  #strangerMs = Number.NEGATIVE_INFINITY

  constructor(deps: RemoteDeps, rule: RemoteRuleOptions) {
    const { clock, bus, signer } = deps
    this.#deps = { ...deps, log: deps.log.named('remote') }
    const say = (to: string, body: Unaddressed) => this.#say(to, body)
    const { onNew } = deps
    this.things = new RemoteThings({ clock, bus, own: signer.device, known: () => signer.trusted, onNew })
    this.#asking = new Asking({ clock, say })
    this.#answering = new Answering({ ...this.#deps, say }, rule)
    this.#cancels = [
      bus.subscribe(bus.topics.command(signer.device, '+'), ({ topic, payload, retained }) =>
        retained && payload.byteLength > 0 ? 'a retained command' : this.#take(topic, payload),
      ),
      this.things.onPresence((device, online) => this.#asking.present(device, online)),
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cancel of this.#cancels) cancel()
    this.#asking[Symbol.dispose]()
    await this.#answering[Symbol.asyncDispose]()
    this.things[Symbol.dispose]()
  }

  /** Never throws for an operating error; settles at a deadline at the latest. */
  async command(request: RemoteRequest, signal: AbortSignal): Promise<CommandOnce> {
    const { device, entity, command, resumed } = request
    const bytes = Buffer.byteLength(JSON.stringify(command))
    if (bytes > wireLimits.setBytesMax)
      return {
        outcome: 'refused',
        reason: `${bytes} bytes, ${wireLimits.setBytesMax} are the most of a command`,
      }
    const found = await this.things.find(device, signal)
    // What was begun before a restart may still be looked for when the device comes back.
    if (!found.ok && !resumed) return { outcome: 'unavailable', reason: found.reason }
    if (found.ok && !resumed) {
      if (!this.#deps.bus.connected)
        return {
          outcome: 'unavailable',
          reason: `${device} is out of reach: this device is not connected to the broker`,
        }
      if (found.device.online === false) return { outcome: 'unavailable', reason: `${device} is offline` }
      if (!found.device.get(entity)) return { outcome: 'not-found', reason: `${device} has no ${entity}` }
    }
    // From here on: while its key is waited for, others must not push it out.
    const letGo = found.ok ? this.things.hold(found.device) : () => {}
    try {
      if (!(await this.#knowsKeyOf(device, signal)) && !resumed)
        return { outcome: 'unavailable', reason: `${device} is not believed here: it has shown no key` }
      return await this.#asking.command(request, signal)
    } finally {
      letGo()
    }
  }

  async #knowsKeyOf(device: string, signal: AbortSignal): Promise<boolean> {
    const { clock, signer } = this.#deps
    const endMs = clock.monotonicMs() + keyMsMax
    while (!signer.trusted.includes(device)) {
      if (clock.monotonicMs() >= endMs) return false
      await sleep(clock, keyLookMs, signal)
    }
    return true
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    if (payload.byteLength === 0) return undefined
    const { bus, signer } = this.#deps
    const [, , , sender = ''] = bus.topics.levels(topic) ?? []
    const said = unseal(signer, 'command', remoteCommandBody, payload, remoteCommandLimits.bytesMax, {
      on: sender,
    })
    if (!said.ok) {
      if (said.code === 'unknown') this.#tellStranger(sender, payload)
      return said.reason
    }
    const { from, body } = said
    if (body.to !== signer.device) return `it was said to ${body.to}`
    if (body.kind === 'ask' || body.kind === 'leave') return this.#answering.take(from, body)
    this.#asking.take(from, body)
    return undefined
  }

  #say(to: string, body: Unaddressed): void {
    const { bus, signer, log } = this.#deps
    bus
      .publish(bus.topics.command(to, signer.device), seal(signer, 'command', { ...body, to }))
      .catch((error) => log.debug('a word about a command was not sent', { to, reason: messageOf(error) }))
  }

  /** So that whoever asks need not wait: it is refused because of who it is. Nothing that it says is believed for that. */
  #tellStranger(to: string, payload: Uint8Array): void {
    const { clock, signer } = this.#deps
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#strangerMs < strangerMs || to === signer.device) return
    const message = parseJson(signedMessage, payload, remoteCommandLimits.bytesMax)
    if (!message.ok) return
    const { bytesMax } = remoteCommandLimits
    const body = parseJson(remoteCommandBody, Buffer.from(message.value.body), bytesMax)
    if (!body.ok || body.value.kind !== 'ask') return
    this.#strangerMs = nowMs
    const { id, at } = body.value
    const reason = `${signer.device} does not believe ${to}: it has not seen its key, or another one first`
    this.#say(to, { kind: 'over', id, at, result: { outcome: 'refused', reason } })
  }
}
