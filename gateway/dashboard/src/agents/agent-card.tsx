/** One agent: how it is, what it waits for, what it may do, what it said, and the way to stop it. */
import { useEffect, useId, useState } from 'preact/hooks'
import type { TopAgent } from '../../../../runtime/wire/top.ts'
import { api } from '../api.ts'
import { plain } from '../plain-text.ts'
import { type AgentNow, asked } from '../state/agents.ts'
import { nowMs } from '../state/clock.ts'
import { capital, sentence, span, trimmed } from '../words.ts'
import { AgentActions } from './agent-actions.tsx'
import { AgentGrants } from './agent-grants.tsx'
import { AgentLog } from './agent-log.tsx'
import { agentStates, waitWords } from './agent-words.ts'

export function AgentCard(props: {
  readonly agent: AgentNow
  readonly device: string
  readonly online: boolean
  readonly used: TopAgent | undefined
}) {
  const { agent, device, online, used } = props
  const { name, state, reason, problem, startedMs, turns } = agent
  const id = useId()
  const asks = asked.value.some((one) => one.device === device && one.agent === name)
  const trouble = state === 'failed' || problem !== undefined
  return (
    <article
      class={`card agent ${online ? '' : 'away'} ${trouble ? 'trouble' : ''}`}
      data-agent={name}
      data-state={state}
      aria-labelledby={id}
    >
      <div class="agent-head">
        <h3 id={id}>{name}</h3>
        <p class={`agent-state ${state} ${trouble ? 'trouble' : ''}`}>
          <span class="dot" aria-hidden="true" />
          {problem === undefined ? (agentStates[state] ?? sentence(state)) : 'Needs a look'}
        </p>
      </div>
      {problem !== undefined && <p class="agent-problem">{capital(problem)}</p>}
      {reason !== undefined && state !== 'failed' && <p class="quiet">{capital(reason)}</p>}
      {state === 'failed' && <Failed agent={agent} device={device} online={online} />}
      <dl class="facts small">
        <dt>{state === 'running' ? 'Since' : 'Begun'}</dt>
        <dd>
          <time dateTime={new Date(startedMs).toISOString()} title={new Date(startedMs).toLocaleString()}>
            {span(nowMs.value - startedMs)} ago
          </time>
          , {turns} {turns === 1 ? 'turn' : 'turns'}
        </dd>
        {state === 'running' && (
          <>
            <dt>Waits for</dt>
            <dd class="agent-waits">{waitWords(agent.waiting) ?? 'nothing: it is at work'}</dd>
          </>
        )}
        {asks && (
          <>
            <dt>Asks</dt>
            <dd>
              <a class="agent-asks" href="#approvals-title">
                you, at the top of the page
              </a>
            </dd>
          </>
        )}
        {used && state === 'running' && <Uses used={used} />}
      </dl>
      <AgentGrants agent={agent} device={device} online={online} />
      <AgentLog agent={name} device={device} turns={turns} online={online} />
      <AgentActions agent={agent} device={device} online={online} />
    </article>
  )
}

/** What it threw, where its device says it; else how it failed, as everybody is told. */
function Failed(props: { readonly agent: AgentNow; readonly device: string; readonly online: boolean }) {
  const { agent, device, online } = props
  const { name, reason = '', turns, token } = agent
  const [threw, setThrew] = useState<string>()
  useEffect(() => {
    if (!online) return
    let over = false
    api.agentReason(device, name).then(
      (told) => !over && setThrew(plain(told)),
      () => !over && setThrew(undefined),
    )
    return () => {
      over = true
    }
  }, [online, device, name, turns, token, reason])
  return <p class="agent-problem">{capital(threw ?? reason)}</p>
}

function Uses({ used }: { readonly used: TopAgent }) {
  const { cpuShare, memoryBytes, over } = used
  const memory = used.inMemory
    ? `${trimmed(memoryBytes / 2 ** 20, 1)} MB of memory`
    : 'no memory: it sleeps on disk'
  const { tokens } = used.used
  return (
    <>
      <dt>Uses</dt>
      <dd class="agent-uses">
        {trimmed(cpuShare * 100, 1)} % of a core, {memory}
        {tokens > 0 && `, ${tokens} tokens`}
        {over.length > 0 && (
          <>
            . <strong>Used up: {over.join(', ')}</strong>
          </>
        )}
      </dd>
    </>
  )
}
