/** What a device's configuration says that votes weigh, as an agent's call meets it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Site } from '../../../../runtime/agent/site.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

const forever = new AbortController().signal

/** How a weighted vote ends on a device that is alone. */
async function voted(weights: Record<string, number> | undefined) {
  const stateDir = mkdtempSync(join(tmpdir(), 'weights-'))
  onTestFinished(() => rmSync(stateDir, { recursive: true }))
  const clock = new VirtualClock()
  const bus = new SimulatedBus(new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 5 }))
  const identity = Identity.open('hub', stateDir)
  const deps = { clock, log: silentLog, bus, identity, record: () => {}, runs: () => false }
  await using site = await Site.open(deps, { stateDir, weights }, forever)
  const service = site.services.find(({ ops }) => ops.includes('decide.vote'))
  const args = { subject: 'mode', rule: 'weighted', choices: ['night'], mine: ['night'] }
  const call = { id: 1, op: 'decide.vote', args } as const
  const caller = { agent: 'sleepy', token: 1 }
  return await service?.perform({ caller, call, resumed: false, askedMs: 0, emit: () => true }, forever)
}

test('[decide-16] a weighted vote is counted by the weights of the configuration', async () => {
  const value = { decided: true, value: 'night', reason: '7 of 7 votes are for night' }
  expect(await voted({ hub: 7 })).toMatchObject({ ok: true, value })
})

test('[decide-16] a weighted vote where no weights are configured is refused', async () => {
  const message = 'a weighted vote needs weights: name them in device.agents.weights'
  expect(await voted(undefined)).toEqual({ ok: false, error: { code: 'bad-request', message } })
})
