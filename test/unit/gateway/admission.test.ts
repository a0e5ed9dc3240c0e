import { EventEmitter } from 'node:events'
import type { Client } from 'aedes'
import { describe, expect, it } from 'vitest'
import { Admission } from '../../../gateway/broker/admission.ts'
import { defaultBrokerLimits as limits } from '../../../gateway/broker/limits.ts'
import { Refusals } from '../../../gateway/broker/refusals.ts'
import { RetainedStore } from '../../../gateway/broker/retained-store.ts'
import { SessionStore } from '../../../gateway/broker/session-store.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'

/** A connection whose close takes until the test says so. */
class SlowClosing extends EventEmitter {
  readonly id = 'twin'
  readonly clean = true
  finish: () => void = () => {}
  close(done: () => void): void {
    this.finish = done
  }
}
const connection = () => {
  const closing = new SlowClosing()
  return { closing, client: closing as unknown as Client }
}

describe('[broker-3] Admission', () => {
  it('answers a takeover only after the old connection is closed, and refuses a third meanwhile', async () => {
    const clock = new VirtualClock()
    const refusals = new Refusals(clock, silentLog)
    const store = new SessionStore(limits, new RetainedStore(limits), () => true)
    const own = { username: 'ganglion-gateway', password: 'secret' }
    const admission = new Admission({ clock, limits, refusals, store, own })
    const [old, second, third] = [connection(), connection(), connection()]
    expect(await admission.authenticate(old.client, undefined, undefined)).toBeNull()
    admission.connected(old.client)

    let answered = false
    const takeover = admission.authenticate(second.client, undefined, undefined).then((refusal) => {
      answered = true
      return refusal
    })
    expect(await admission.authenticate(third.client, undefined, undefined)).toMatchObject({ returnCode: 2 })
    expect(answered).toBe(false)
    old.closing.finish()
    expect(await takeover).toBeNull()
    admission.disconnected(old.client)
    admission.connected(second.client)
    admission.disconnected(old.client)
    expect(admission.members).toBe(1)
  })
})
