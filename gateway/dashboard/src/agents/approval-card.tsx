/** One question of an agent: what it wants to do, until when, and the answers. One press is one answer, however fast. */
import { useId, useRef } from 'preact/hooks'
import { type Asked, agentsOf } from '../state/agents.ts'
import { nowMs } from '../state/clock.ts'
import { connection } from '../state/connection.ts'
import { devices } from '../state/home.ts'
import { useKeptFocus } from '../ui/kept-focus.ts'
import { ago, sentence } from '../words.ts'
import { leftWords, plainAsk } from './agent-words.ts'
import { type Answering, answer, answeringOf } from './answering.ts'
import { useWho, type Who } from './who.ts'
import { WhoAnswers } from './who-answers.tsx'

/** `still`: it has stood in its place for a while, so that what is pressed is what was meant. */
interface ApprovalCardProps {
  readonly asked: Asked
  readonly still: boolean
}

export function ApprovalCard({ asked, still }: ApprovalCardProps) {
  const { agent, words, expiresMs, askedMs, kind } = asked
  const id = useId()
  const title = useRef<HTMLHeadingElement>(null)
  // The answers go when its time is over.
  const kept = useKeptFocus<HTMLElement>(() => title.current)
  const device = devices.value.find((one) => one.id === asked.device)
  const expired = nowMs.value >= expiresMs
  const state = answeringOf(asked)
  return (
    <article class="approval" {...kept} data-approval={asked.id} aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`} ref={title} tabIndex={-1}>
        {kind === 'permission' ? `${agent} wants to` : `${agent} asks`}
        {device?.simulated && <span class="badge">Simulated</span>}
      </h3>
      <p class="approval-words">{kind === 'permission' ? plainAsk(words, asked.device) : words}</p>
      <p class="quiet small">
        {agentsOf.value.size > 1 && `On ${device?.name ?? asked.device}. `}
        Asked {ago(askedMs, nowMs.value)}.{' '}
        {expired ? (
          <strong class="expired">Expired: nobody answered in time.</strong>
        ) : (
          <span>
            {/* Read when asked for, not each second. */}
            Time to answer: <span class="countdown">{leftWords(expiresMs - nowMs.value)}</span>
          </span>
        )}
      </p>
      {!expired && (
        <Answers
          asked={asked}
          state={state}
          still={still}
          title={`${id}-title`}
          deviceOnline={device?.availability === 'online'}
        />
      )}
      <p class="approval-state" role="status">
        {state?.kind === 'sending' && 'Telling the agent…'}
        {state?.kind === 'told' && `You said ${state.answer}.`}
      </p>
      <p class="agent-problem" role="alert">
        {state?.kind === 'failed' && !expired && `Not answered: ${state.message}`}
      </p>
    </article>
  )
}

function Answers(props: {
  readonly asked: Asked
  readonly state: Answering | undefined
  readonly still: boolean
  readonly title: string
  readonly deviceOnline: boolean
}) {
  const { asked, state, still, title, deviceOnline } = props
  const isPermission = asked.kind === 'permission'
  const who = useWho(asked.device, isPermission ? 'proof' : 'name')
  const answers = useRef<HTMLDivElement>(null)
  const live = connection.value === 'live'
  const busy = state?.kind === 'sending' || state?.kind === 'told'
  const send = async (choice: string) => {
    // The button that was pressed keeps the focus while it is busy, and with a PIN to be given again the field takes it.
    if (!(await answer(asked, choice, who.said)))
      answers.current?.parentElement?.querySelector<HTMLElement>('input[type="password"]')?.focus()
    who.setPin('')
  }
  // To say no to what an agent wants needs no proof; a yes that cannot be given here is not offered.
  const needsNone = (choice: string) => isPermission && choice === 'no'
  const offered = asked.choices.filter((choice) => needsNone(choice) || !(who.locked || who.unprovable))
  return (
    <>
      {!(live && deviceOnline) && (
        <p class="approval-note">
          {live
            ? 'Its device is not connected: it can be answered when it is back.'
            : 'This page has lost its gateway: it can be answered when that is back.'}
        </p>
      )}
      {(deviceOnline || who.people !== 'asking') && (
        <WhoAnswers who={who} elsewhere={<Elsewhere id={asked.id} />} />
      )}
      <div class="answers" ref={answers}>
        {offered.map((choice) => (
          <button
            key={choice}
            type="button"
            class={choice === 'yes' ? 'primary' : choice === 'no' ? 'caution' : ''}
            aria-describedby={title}
            disabled={!canSay(who, needsNone(choice)) && !busy}
            aria-disabled={busy || !still || !live || !deviceOnline}
            onClick={() => !busy && still && live && deviceOnline && void send(choice)}
          >
            {sentence(choice)}
          </button>
        ))}
      </div>
    </>
  )
}

const canSay = ({ ready }: Who, needsNone: boolean) => ready || needsNone

/** Where a name is all that this page could give. */
function Elsewhere({ id }: { readonly id: string }) {
  return (
    <div class="elsewhere">
      <p>A yes needs somebody whom this home knows, and nobody is known here yet.</p>
      <p>
        Say it on the device itself: <code>ganglion approve {id} yes</code>
      </p>
      <p>
        Or, to say it here from now on, give yourself a PIN for the device’s configuration:{' '}
        <code>ganglion person NAME</code>
      </p>
    </div>
  )
}
