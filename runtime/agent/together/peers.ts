/**
 * Whom this device believes. Each device publishes its public key, retained; the others believe the first one that they see under
 * a name and keep it on disk, or, where the configuration names keys, those and no others.
 *
 * Invariants: [peers-1] a key that was believed is never replaced by another: that is refused, counted and logged;
 * [peers-2] where the configuration names keys, nobody else is believed; [peers-3] who publishes a key has it; [peers-4] what was
 * believed is believed after a restart; a file that cannot be read is put aside, and nobody it named is believed until
 * seen again; [peers-6] keys of strangers are checked so many at a time, and those of devices that are known or not wanted never.
 */

import { createPublicKey, verify } from 'node:crypto'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import * as v from 'valibot'
import type { Cancel, Clock } from '../../base/clock.ts'
import { writeDurablySync } from '../../base/durable-file.ts'
import { messageOf } from '../../base/errors.ts'
import type { Identity } from '../../base/identity.ts'
import type { Log } from '../../base/log.ts'
import { makeDirectory } from '../../base/state-dir.ts'
import type { Bus } from '../../link/bus.ts'
import { check, parseJson } from '../../wire/messages.ts'
import { identityBody, identityBytesMax, signedMessage } from '../../wire/signed.ts'
import { Bucket } from '../scheduler/bucket.ts'
import { seal, signedBytes } from './envelope.ts'

export interface PeersDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly identity: Identity
}
export interface PeersOptions {
  /** Where those who were believed on first sight are kept. */
  readonly path: string
  /** Public keys by device, from the configuration. When it names any, nobody else is believed. */
  readonly keys?: Readonly<Record<string, string>>
  /** Devices believed at a time: a stranger on the broker must not fill the memory or the quorums. */
  readonly peersMax?: number
}

const peersFile = v.object({ v: v.literal(1), keys: v.record(v.string(), identityBody.entries.key) })
const logEveryMs = 60_000
/** Signatures of strangers that are checked: twice a whole site's at once, then 8 a second. */
const strangers = { max: 128, perMs: 16_000 }
/** Devices that are away and remembered: there may be more on a broker than are believed. */
const awayMax = 256

export class Peers implements Disposable {
  readonly #deps: PeersDeps
  readonly #options: Required<PeersOptions>
  readonly #keys: Record<string, string>
  readonly #cancel: Cancel
  readonly #away = new Set<string>()
  readonly #listeners = new Set<(device: string) => void>()
  readonly #strangers: Bucket
  #refused = 0
  #loggedMs = Number.NEGATIVE_INFINITY

  /** Throws where the configuration's keys are none, or name another for this device. */
  constructor(deps: PeersDeps, options: PeersOptions) {
    const { bus, identity } = deps
    this.#deps = { ...deps, log: deps.log.named('peers') }
    this.#options = { keys: {}, peersMax: 64, ...options }
    this.#strangers = new Bucket(strangers, deps.clock.monotonicMs())
    this.#keys = this.#pinned ? { ...this.#options.keys } : this.#read()
    for (const [device, key] of Object.entries(this.#keys))
      if (!identity.trust(device, key))
        throw new Error(`${device} is configured with a key that is not its own`)
    const own = seal(identity, 'identity', { device: identity.device, key: identity.publicKey })
    bus.setRetained(bus.topics.identity(identity.device), own)
    const cancels = [
      bus.subscribe(bus.topics.identity('+'), ({ topic, payload }) => this.#take(topic, payload)),
      bus.subscribe(bus.topics.availability('+'), ({ topic, payload }) => this.#present(topic, payload)),
    ]
    this.#cancel = () => {
      for (const cancel of cancels) cancel()
    }
  }

  /** Keys refused since the start. */
  get refused(): number {
    return this.#refused
  }

  /** Devices believed, this one among them. */
  get known(): readonly string[] {
    return this.#deps.identity.trusted
  }

  /** Devices that are away, as the broker says: nobody signed that, so it is no more than a reason not to wait. */
  get away(): ReadonlySet<string> {
    return this.#away
  }

  /** Public keys of the devices believed, by name. */
  get keys(): Readonly<Record<string, string>> {
    const { device, publicKey } = this.#deps.identity
    return { [device]: publicKey, ...this.#keys }
  }

  onNew(listener: (device: string) => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  [Symbol.dispose](): void {
    this.#cancel()
    this.#listeners.clear()
  }

  get #pinned(): boolean {
    return Object.keys(this.#options.keys).length > 0
  }

  #present(topic: string, payload: Uint8Array): undefined {
    const [device = ''] = this.#deps.bus.topics.levels(topic) ?? []
    if (Buffer.from(payload).toString() !== 'offline') this.#away.delete(device)
    else if (this.#away.size < awayMax) this.#away.add(device)
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    const [device = ''] = this.#deps.bus.topics.levels(topic) ?? []
    // Somebody cleared it: what was believed stays.
    if (payload.byteLength === 0) return undefined
    const said = readIdentity(payload)
    if (!said.ok) return said.reason
    if (said.value.device !== device) return `it names ${said.value.device}`
    return this.#believe(device, said.value.key, said.isSigned)
  }

  #believe(device: string, key: string, isSigned: () => boolean): string | undefined {
    const { identity, log, clock } = this.#deps
    if (identity.trusted.includes(device))
      return identity.trust(device, key) ? undefined : this.#refuse(device, 'it has another key than before')
    if (this.#pinned) return this.#refuse(device, 'the configuration does not name it')
    if (identity.trusted.length >= this.#options.peersMax)
      return this.#refuse(device, `${this.#options.peersMax} devices are believed already`)
    const nowMs = clock.monotonicMs()
    if (this.#strangers.waitMs(1, nowMs) > 0) return 'more strangers show their keys than are checked'
    this.#strangers.take(1, nowMs)
    if (!isSigned()) return 'it is not signed by the key that it names'
    identity.trust(device, key)
    this.#keys[device] = key
    try {
      makeDirectory(dirname(this.#options.path))
      writeDurablySync(this.#options.path, JSON.stringify({ v: 1, keys: this.#keys }))
    } catch (error) {
      log.error('a device that is believed could not be kept', { device, reason: messageOf(error) })
    }
    log.info('a device is believed from now on', { device, key })
    for (const listener of this.#listeners) listener(device)
    return undefined
  }

  #refuse(device: string, reason: string): string {
    const { clock, log } = this.#deps
    this.#refused += 1
    if (clock.monotonicMs() - this.#loggedMs >= logEveryMs) {
      this.#loggedMs = clock.monotonicMs()
      log.warn('a device is not believed', { device, reason, refused: this.#refused })
    }
    return `${device} is not believed: ${reason}`
  }

  #read(): Record<string, string> {
    const { path } = this.#options
    if (!existsSync(path)) return {}
    const { log, clock } = this.#deps
    try {
      const file = check(peersFile, JSON.parse(readFileSync(path, 'utf8')))
      if (file.ok) return { ...file.value.keys }
      throw new Error(file.reason)
    } catch (error) {
      const aside = `${path}.corrupt-${clock.nowMs()}`
      renameSync(path, aside)
      log.error('whom this device believed could not be read: it was put aside', {
        aside,
        reason: messageOf(error),
      })
      return {}
    }
  }
}

/** A key, and whether it signed that itself: to find out costs time. */
function readIdentity(payload: Uint8Array) {
  const message = parseJson(signedMessage, payload, identityBytesMax)
  if (!message.ok) return message
  const { body: text, sig } = message.value
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return { ok: false, reason: 'its body is not JSON' } as const
  }
  const body = check(identityBody, parsed)
  if (!body.ok) return body
  const isSigned = () => {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: body.value.key }, format: 'jwk' })
    return verify(null, signedBytes('identity', text), key, Buffer.from(sig, 'base64'))
  }
  return { ...body, isSigned }
}
