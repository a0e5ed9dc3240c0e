/** The last lines that an agent said, loaded when somebody opens them, and again after each of its turns while they look. */
import { useEffect, useState } from 'preact/hooks'
import type { AgentLogs } from '../../../../runtime/wire/agents.ts'
import { api } from '../api.ts'
import { plain } from '../plain-text.ts'
import { timeOfDay } from '../words.ts'

const linesMax = 20

type Shown =
  | { readonly kind: 'asking' }
  | { readonly kind: 'told'; readonly lines: AgentLogs['lines'] }
  | { readonly kind: 'failed'; readonly message: string }

export function AgentLog(props: {
  readonly agent: string
  readonly device: string
  readonly turns: number
  readonly online: boolean
}) {
  const { agent, device, turns, online } = props
  const [open, setOpen] = useState(false)
  const [shown, setShown] = useState<Shown>({ kind: 'asking' })
  useEffect(() => {
    if (!open || !online) return
    let over = false
    api.agentLog(device, agent, linesMax).then(
      ({ lines }) => !over && setShown({ kind: 'told', lines: plain(lines) }),
      (error: Error) => !over && setShown({ kind: 'failed', message: error.message }),
    )
    return () => {
      over = true
    }
  }, [open, online, device, agent, turns])
  return (
    <details class="fold" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>What it said lately</summary>
      {shown.kind === 'asking' && (
        <p class="quiet small">{online ? 'Asking the device…' : 'Its device is not connected.'}</p>
      )}
      {shown.kind === 'failed' && <p class="agent-problem">Not to be had: {shown.message}</p>}
      {shown.kind === 'told' && shown.lines.length === 0 && <p class="quiet small">Nothing yet.</p>}
      {shown.kind === 'told' && shown.lines.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard (WCAG 2.1.1)
        <section class="agent-log" aria-label={`What ${agent} said lately`} tabIndex={0}>
          <ol>
            {shown.lines.map((line, at) => (
              <li key={`${line.atMs} ${at}`} class={line.level}>
                <time class="quiet" dateTime={new Date(line.atMs).toISOString()}>
                  {timeOfDay(line.atMs)}
                </time>{' '}
                {line.level === 'error' && <strong>Error: </strong>}
                {line.text}
              </li>
            ))}
          </ol>
        </section>
      )}
    </details>
  )
}
