/**
 * What an agent may do, and what it asks for besides. To take something back needs nobody's leave and holds at once; to give is a
 * person's to say. What the device last told is shown while it cannot be asked.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { AgentMay } from '../../../../runtime/wire/agents.ts'
import { api, type Said } from '../api.ts'
import { plain } from '../plain-text.ts'
import type { AgentNow } from '../state/agents.ts'
import { announce } from '../state/announce.ts'
import { useKeptFocus } from '../ui/kept-focus.ts'
import { PersonAction } from './person-action.tsx'

type Line = NonNullable<AgentMay['lines']>[number]
type Shown =
  | { readonly kind: 'asking' }
  | { readonly kind: 'told'; readonly lines: readonly Line[] }
  | { readonly kind: 'failed'; readonly message: string }

interface AgentGrantsProps {
  readonly agent: AgentNow
  readonly device: string
  readonly online: boolean
}

export function AgentGrants(props: AgentGrantsProps) {
  const { grants, moreGrants } = props.agent
  const [open, setOpen] = useState(false)
  const all = grants.length + moreGrants
  return (
    <details class="fold" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {all === 0
          ? 'May do nothing but compute and wait'
          : `May do ${all} ${all === 1 ? 'thing' : 'things'}, and nothing else`}
      </summary>
      {open && <Grants {...props} />}
    </details>
  )
}

function Grants({ agent, device, online }: AgentGrantsProps) {
  const { name, grants, moreGrants } = agent
  const [shown, setShown] = useState<Shown>({ kind: 'asking' })
  const [failed, setFailed] = useState('')
  const busy = useRef(false)
  // What was pressed is among the others now, or gone.
  const pressed = useRef('')
  const kept = useKeptFocus<HTMLDivElement>(
    (element) =>
      element.querySelector<HTMLElement>(`[data-capability="${CSS.escape(pressed.current)}"] button`) ??
      element.closest('details')?.querySelector('summary'),
  )
  const told = ({ lines }: AgentMay) => {
    // What it asks for may name values, which are its own words. What is sent back is as it came.
    const shown = lines?.map((line) => ({ ...line, words: plain(line.words) }))
    setShown(shown ? { kind: 'told', lines: shown } : { kind: 'asking' })
  }
  const now = grants.join('\n')
  // Asked again when the device tells of other grants.
  useEffect(() => {
    if (!online) return
    let over = false
    api.agentMay(device, name).then(
      (may) => !over && told(may),
      (error: Error) => !over && setShown({ kind: 'failed', message: error.message }),
    )
    return () => {
      over = true
    }
  }, [online, device, name, now, moreGrants])

  const change = async (line: Line, said: Said = {}) => {
    pressed.current = line.capability
    const { capability, allow } = line
    told(await api.agentGrant(device, name, allow ? { allow } : { deny: [capability] }, said))
  }
  const takeBack = async (line: Line) => {
    if (busy.current) return
    busy.current = true
    setFailed('')
    try {
      await change(line)
      announce(`${name} may no longer ${line.words}`)
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error))
    }
    busy.current = false
  }
  if (!online || shown.kind !== 'told')
    return (
      <>
        <ul class="bullets">
          {grants.map((words) => (
            <li key={words}>{words}</li>
          ))}
          {moreGrants > 0 && <li>and {moreGrants} more</li>}
        </ul>
        {shown.kind === 'failed' && online && (
          <p class="agent-problem" role="alert">
            What it asks for besides is not to be had: {shown.message}
          </p>
        )}
      </>
    )
  const may = shown.lines.filter(({ allow }) => allow === undefined)
  const wants = shown.lines.filter(({ allow }) => allow !== undefined)
  return (
    <div class="grants" {...kept}>
      <ul aria-label={`What ${name} may do`}>
        {may.map((line) => (
          <li key={`${line.capability} ${line.words}`} data-capability={line.capability}>
            <span>{line.words}</span>
            <button
              type="button"
              class="plain"
              aria-label={`Take back: ${line.words}`}
              onClick={() => void takeBack(line)}
            >
              Take back
            </button>
          </li>
        ))}
      </ul>
      <p class="agent-problem" role="alert">
        {failed && `Not taken back: ${failed}`}
      </p>
      {wants.length > 0 && <p class="quiet small">It asks for this too, and may not:</p>}
      <ul aria-label={`What ${name} asks for and may not do`}>
        {wants.map((line) => (
          <li key={`${line.capability} ${line.words}`} data-capability={line.capability}>
            <span>{line.words}</span>
            <PersonAction
              device={device}
              label="Allow"
              name={`Allow: ${line.words}`}
              question={`Let ${name} ${line.words}?`}
              confirmLabel="Allow it"
              online={online}
              act={async (said) => {
                await change(line, said)
                return `${name} may ${line.words}`
              }}
            />
          </li>
        ))}
      </ul>
    </div>
  )
}
