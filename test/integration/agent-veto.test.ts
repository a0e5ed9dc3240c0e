/** What a device's safety kernel has to say to a decision, on an emulated relay behind the real safety thread. */
import { expect, test } from 'vitest'
import { safetyVeto } from '../../runtime/agent/decide/safety-veto.ts'
import type { OpenBody } from '../../runtime/wire/decide.ts'
import { attach } from '../fixtures/hardware/attached.ts'

const opened = { kind: 'open', id: '1', members: ['cellar'], quorum: 1, atMs: 0, lastsMs: 1_000 } as const
const voteOn = (subject: string): OpenBody => ({
  ...{ ...opened, subject, members: ['cellar'] },
  ...{ what: 'vote', rule: 'majority', choices: ['on'] },
})
const taskFor = (entity: string): OpenBody => ({
  ...{ ...opened, members: ['cellar'], subject: 'heat' },
  ...{ what: 'contract-net', task: { entity, state: 'on' } },
})

test('what may not move is vetoed with the reason, here and by its name elsewhere; all else is not [veto-1]', async () => {
  await using attached = await attach([{ driver: 'relay', id: 'boiler', pin: 11 }], {
    safety: { arming: 'person' },
  })
  const { safety } = attached.attached
  if (!safety) throw new Error('there is an actuator')
  using vetoes = await safetyVeto(safety, 'cellar')
  const { veto } = vetoes
  for (const open of [voteOn('switch.boiler'), taskFor('switch.boiler'), taskFor('switch.boiler@cellar')])
    expect(veto(open)).toMatch(/^outputs are not armed: ./)
  for (const open of [voteOn('mode'), voteOn('switch.pump'), taskFor('switch.boiler@attic')])
    expect(veto(open)).toBeUndefined()
})

test('what may move is not vetoed', async () => {
  await using attached = await attach([{ driver: 'relay', id: 'boiler', pin: 11 }])
  const { safety } = attached.attached
  if (!safety) throw new Error('there is an actuator')
  using vetoes = await safetyVeto(safety, 'cellar')
  expect(vetoes.veto(voteOn('switch.boiler'))).toBeUndefined()
})
