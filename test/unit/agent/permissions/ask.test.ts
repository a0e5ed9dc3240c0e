/** Questions of agents: bounded, so that those of one never hide what another waits for. */
import { expect, test } from 'vitest'
import { AgentsTold } from '../../../../runtime/agent/agents-told.ts'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { askService } from '../../../../runtime/agent/permissions/ask.service.ts'
import { noPolicy } from '../../../../runtime/agent/permissions/policy.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { type AgentsNow, agentsNow, agentsNowLimits } from '../../../../runtime/wire/agents-now.ts'
import { type Approval, approvalsMax } from '../../../../runtime/wire/approvals.ts'
import { parseJson } from '../../../../runtime/wire/messages.ts'

test('[permit-8] [agents-told-2] as many of the longest questions as may wait are told, all of them', async () => {
  const clock = new VirtualClock()
  const approvals: Approval[] = []
  const ask = async (approval: Approval) => {
    approvals.push(approval)
    return { state: 'expired' as const }
  }
  const service = askService({ clock, approvals: { ask } })
  const asks = (question: string, choices: Json, id = 1) => {
    const call = { id, op: 'ask' as const, args: { question, choices } }
    const caller = { agent: 'a'.repeat(64), token: 1 }
    const performing = { caller, call, resumed: false, askedMs: clock.nowMs() + id, emit: () => true }
    return service.perform(performing, new AbortController().signal)
  }
  const choices = Array.from({ length: 8 }, (_, at) => `${at}${'門'.repeat(39)}`)
  expect(await asks('門'.repeat(400), choices)).toMatchObject({ error: { code: 'bad-request' } })
  expect(approvals).toEqual([])
  for (const [question, some] of [
    ['門'.repeat(400), ['yes', 'no']],
    ['門'.repeat(120), choices],
    ['"'.repeat(400), ['yes', 'no']],
  ] as const)
    for (let n = 0; n < approvalsMax; n += 1) await asks(question, [...some], n)
  expect(approvals).toHaveLength(3 * approvalsMax)
  for (let from = 0; from < approvals.length; from += approvalsMax) {
    const messages: AgentsNow[] = []
    const waiting = approvals.slice(from, from + approvalsMax)
    const read = () => ({ agents: [], approvals: waiting, policy: noPolicy })
    using told = new AgentsTold({ clock, log: silentLog, read, publish: (now) => messages.push(now) })
    told.changed()
    clock.advance(60_000)
    const bytes = Buffer.from(JSON.stringify(messages[0]))
    const parsed = parseJson(agentsNow, bytes, agentsNowLimits.bytesMax)
    expect(parsed.ok && parsed.value.approvals).toHaveLength(approvalsMax)
  }
})
