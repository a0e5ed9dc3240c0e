/** The programs that look after this home: how each is, what it may do, what was decided together, what they share. */
import { useRef } from 'preact/hooks'
import { agentsLoading, agentsOf, decisions, facts } from '../state/agents.ts'
import { useKeptFocus } from '../ui/kept-focus.ts'
import { Board } from './board.tsx'
import { Decisions } from './decisions.tsx'
import { DeviceAgents } from './device-agents.tsx'

export function Agents() {
  const devices = [...agentsOf.value.values()].sort((one, other) => (one.device < other.device ? -1 : 1))
  const title = useRef<HTMLHeadingElement>(null)
  // An agent that was removed goes, with the focus that was on it.
  const kept = useKeptFocus<HTMLElement>(() => title.current)
  const some = devices.some(({ agents }) => agents.length > 0)
  return (
    <section class="agents" id="agents" aria-labelledby="agents-title" {...kept}>
      <h2 id="agents-title" ref={title} tabIndex={-1}>
        Agents
      </h2>
      {!some && <NoAgents />}
      {devices.map((told) => (
        <DeviceAgents key={told.device} told={told} several={devices.length > 1} />
      ))}
      {(some || decisions.value.length > 0) && <Decisions />}
      {(some || facts.value.length > 0) && <Board />}
    </section>
  )
}

function NoAgents() {
  const loading = agentsLoading.value
  if (loading.kind === 'loading') return <p class="empty">Looking for agents…</p>
  if (loading.kind === 'failed')
    return (
      <div class="empty">
        <h3>The agents could not be loaded</h3>
        <p>{loading.message}. This page tries again by itself.</p>
      </div>
    )
  return (
    <div class="empty">
      <h3>No agents yet</h3>
      <p>
        An agent is a small program that looks after something for you, and may do only what you let it. Start
        one: <code>ganglion agent run night-watch</code>. It appears here by itself.
      </p>
    </div>
  )
}
