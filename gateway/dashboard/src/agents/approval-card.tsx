/** One question of an agent: what it wants to do, until when, and the answers. One press is one answer, however fast. */
import { useId, useRef } from 'preact/hooks'
import { type Asked, agentsOf } from '../state/agents.ts'
import { nowMs } from '../state/clock.ts'
import { devices } from '../state/home.ts'
import { ago, sentence } from '../words.ts'
import { leftWords, plainAsk } from './agent-words.ts'
import { answer, answeringOf } from './answering.ts'
import { useWho } from './who.ts'
import { WhoAnswers } from './who-answers.tsx'

export function ApprovalCard({ asked }: { readonly asked: Asked }) {
  const { agent, words, choices, expiresMs, askedMs, kind } = asked
  const id = useId()
  const answers = useRef<HTMLElement>(null)
  const who = useWho(asked.device, { named: true })
  const device = devices.value.find((one) => one.id === asked.device)
  const online = device?.availability === 'online'
  const state = answeringOf(asked)
  const expired = nowMs.value >= expiresMs
  const ready = who.ready && online
  const busy = state?.kind === 'sending' || state?.kind === 'told'

  const send = async (choice: string) => {
    // The button that was pressed keeps the focus while it is busy, and with a PIN to be given again the field takes it.
    if (!(await answer(asked, choice, who.said)))
      answers.current?.querySelector<HTMLElement>('input[type="password"]')?.focus()
    who.setPin('')
  }
  return (
    <article class="approval" ref={answers} data-approval={asked.id} aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>
        {kind === 'permission' ? `${agent} wants to` : `${agent} asks`}
        {device?.simulated && <span class="badge">Simulated</span>}
      </h3>
      <p class="approval-words">{plainAsk(words, asked.device)}</p>
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
      {!expired && !online && (
        <p class="approval-note">Its device is not connected: it can be answered when it is back.</p>
      )}
      {!expired && (
        <>
          <WhoAnswers who={who} />
          {!who.locked && (
            <div class="answers">
              {choices.map((choice) => (
                <button
                  key={choice}
                  type="button"
                  class={choice === 'yes' ? 'primary' : choice === 'no' ? 'caution' : ''}
                  aria-describedby={`${id}-title`}
                  disabled={!ready && !busy}
                  aria-disabled={busy}
                  onClick={() => !busy && void send(choice)}
                >
                  {sentence(choice)}
                </button>
              ))}
            </div>
          )}
        </>
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
