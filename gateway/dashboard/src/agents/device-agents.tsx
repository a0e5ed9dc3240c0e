/** The agents of one device, with what each uses: asked for every few seconds while somebody looks, as nothing tells of it. */
import { useEffect, useState } from 'preact/hooks'
import type { TopAgent } from '../../../../runtime/wire/top.ts'
import { api } from '../api.ts'
import type { AgentsOfDevice } from '../state/agents.ts'
import { nowMs } from '../state/clock.ts'
import { connection } from '../state/connection.ts'
import { devices } from '../state/home.ts'
import { ago } from '../words.ts'
import { AgentCard } from './agent-card.tsx'

const againAfterMs = 5_000

export function DeviceAgents(props: { readonly told: AgentsOfDevice; readonly several: boolean }) {
  const { told, several } = props
  const device = devices.value.find((one) => one.id === told.device)
  const online = device?.availability === 'online' && connection.value === 'live'
  const top = useTop(told.device, online && told.agents.length > 0)
  if (told.agents.length === 0) return null
  return (
    <div class="agents-of" data-agents-of={told.device}>
      {(several || !online || device?.simulated) && (
        <p class="agents-where">
          {(several || device?.simulated) && <strong>{device?.name ?? told.device}</strong>}
          {device?.simulated && <span class="badge">Simulated</span>}
          {!online && (
            <span class="agents-away">
              {device?.availability === 'offline' ? 'Not connected' : 'Not known now'}: shown as it was{' '}
              {ago(told.ts, nowMs.value)}
            </span>
          )}
        </p>
      )}
      <div class="cards">
        {told.agents.map((agent) => (
          <AgentCard
            key={agent.name}
            agent={agent}
            device={told.device}
            online={online}
            used={top.get(agent.name)}
          />
        ))}
      </div>
      {told.more > 0 && <p class="quiet">And {told.more} more on this device.</p>}
    </div>
  )
}

function useTop(device: string, wanted: boolean): ReadonlyMap<string, TopAgent> {
  const [top, setTop] = useState<ReadonlyMap<string, TopAgent>>(new Map())
  useEffect(() => {
    if (!wanted) {
      setTop(new Map())
      return
    }
    let over = false
    const ask = async () => {
      if (document.hidden) return
      const answer = await api.top(device).catch(() => undefined)
      // An old answer is never shown as a new one.
      if (!over) setTop(new Map(answer?.agents.map((agent) => [agent.name, agent])))
    }
    void ask()
    const timer = setInterval(() => void ask(), againAfterMs)
    return () => {
      over = true
      clearInterval(timer)
    }
  }, [device, wanted])
  return top
}
