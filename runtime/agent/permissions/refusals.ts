/**
 * Who was sent away: somebody who is not known asked for what only a person may do. A line of the audit log every ten seconds at most,
 * which counts those before it, so that nobody who asks without end fills the log.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { DeviceAudit } from '../../observe/device-audit.ts'
import type { AgentAsk } from '../../wire/agents.ts'
import { claimedBy, type PersonError } from './people.ts'

const everyMs = 10_000

export interface RefusalsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<DeviceAudit, 'record'>
}

export class Refusals {
  readonly #deps: RefusalsDeps
  #untold = 0
  #notBeforeMs = 0

  constructor(deps: RefusalsDeps) {
    this.#deps = deps
  }

  /** Settles when it is on the disk, or need not be. Never throws: the answer to who asked is no either way. */
  async keep(ask: AgentAsk, { code }: PersonError): Promise<void> {
    const { clock, log, audit } = this.#deps
    const nowMs = clock.monotonicMs()
    if (nowMs < this.#notBeforeMs) {
      this.#untold += 1
      return
    }
    const before = this.#untold
    this.#untold = 0
    this.#notBeforeMs = nowMs + everyMs
    const { by, name, approval } = ask
    const entry = {
      ...{ kind: 'sent-away', ask: ask.ask, by: claimedBy({ by: textOf(by) }).shown, reason: code },
      ...(name === undefined ? {} : { agent: String(name) }),
      ...(approval === undefined ? {} : { approval: String(approval) }),
    }
    await audit
      .record(before > 0 ? { ...entry, before } : entry)
      .catch((error) => log.error('the audit log cannot be written', { reason: messageOf(error) }))
  }
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)
