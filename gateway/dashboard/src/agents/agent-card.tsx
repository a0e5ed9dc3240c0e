/** One agent: how it is, what it waits for, what it may do, what it said, and the way to stop it. */
import { useId, useState } from 'preact/hooks'
import type { TopAgent } from '../../../../runtime/wire/top.ts'
import { api } from '../api.ts'
import type { AgentNow } from '../state/agents.ts'
import { announce } from '../state/announce.ts'
import { nowMs } from '../state/clock.ts'
import { ConfirmButton } from '../ui/confirm-button.tsx'
import { sentence, span, timeOfDay, trimmed } from '../words.ts'
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
          {agentStates[state] ?? sentence(state)}
        </p>
      </div>
      {problem !== undefined && <p class="agent-problem">It cannot go on: {problem}</p>}
      {reason !== undefined && (
        <p class={state === 'failed' ? 'agent-problem' : 'quiet'}>{sentence(reason)}</p>
      )}
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
        {used && state === 'running' && <Uses used={used} />}
      </dl>
      <Grants agent={agent} />
      <AgentLog agent={name} device={device} turns={turns} online={online} />
      <Actions agent={agent} device={device} online={online} />
    </article>
  )
}

function Uses({ used }: { readonly used: TopAgent }) {
  const { cpuShare, memoryBytes, over } = used
  const memory = used.inMemory ? `${trimmed(memoryBytes / 2 ** 20, 1)} MB` : 'none: it sleeps on disk'
  const { tokens } = used.used
  return (
    <>
      <dt>Uses</dt>
      <dd class="agent-uses">
        {trimmed(cpuShare * 100, 1)} % of a core, memory {memory}
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

function Grants({ agent: { grants, moreGrants } }: { readonly agent: AgentNow }) {
  const all = grants.length + moreGrants
  if (all === 0) return <p class="quiet small">May do nothing but compute and wait.</p>
  return (
    <details class="fold">
      <summary>
        May do {all} {all === 1 ? 'thing' : 'things'}, and nothing else
      </summary>
      <ul class="bullets">
        {grants.map((words) => (
          <li key={words}>{words}</li>
        ))}
        {moreGrants > 0 && <li>and {moreGrants} more</li>}
      </ul>
    </details>
  )
}

function Actions(props: { readonly agent: AgentNow; readonly device: string; readonly online: boolean }) {
  const { agent, device, online } = props
  const { name, state } = agent
  const [busy, setBusy] = useState(false)
  const [failed, setFailed] = useState<{ readonly message: string; readonly atMs: number }>()
  const ask = async (what: 'stop' | 'resume') => {
    setBusy(true)
    setFailed(undefined)
    try {
      await api.agentDo(device, name, what)
      announce(what === 'stop' ? `${name} is stopped` : `${name} goes on`)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      setFailed({ message, atMs: Date.now() })
    }
    setBusy(false)
  }
  return (
    <div class="agent-actions">
      {state === 'running' && (
        <ConfirmButton
          label="Stop"
          question={`Stop ${name}? It goes on from here when it is resumed.`}
          confirmLabel="Stop it"
          cancelLabel="Keep running"
          disabled={!online || busy}
          onConfirm={() => void ask('stop')}
        />
      )}
      {(state === 'stopped' || state === 'failed') && (
        <button type="button" disabled={!online || busy} onClick={() => void ask('resume')}>
          {state === 'failed' ? 'Try again from there' : 'Resume'}
        </button>
      )}
      {busy && (
        <span class="quiet" role="status">
          Asking the device…
        </span>
      )}
      {failed && (
        <p class="agent-problem" role="alert">
          Not done at {timeOfDay(failed.atMs)}: {failed.message}
        </p>
      )}
    </div>
  )
}
