/** One question of an agent: what it wants to do, until when, and the answers. One press is one answer, however fast. */
import { useEffect, useId, useState } from 'preact/hooks'
import { api } from '../api.ts'
import { type Asked, agentsOf, session } from '../state/agents.ts'
import { announce } from '../state/announce.ts'
import { nowMs } from '../state/clock.ts'
import { devices } from '../state/home.ts'
import { ago, sentence } from '../words.ts'
import { leftWords, plainAsk } from './agent-words.ts'
import { answer, answeringOf } from './answering.ts'
import { WhoAnswers } from './who-answers.tsx'

export function ApprovalCard({ asked }: { readonly asked: Asked }) {
  const { agent, words, choices, expiresMs, askedMs, kind } = asked
  const id = useId()
  const [by, setBy] = useState('')
  const [pin, setPin] = useState('')
  const people = usePeople(asked.device)
  const device = devices.value.find((one) => one.id === asked.device)
  const online = device?.availability === 'online'
  const state = answeringOf(asked)
  const expired = nowMs.value >= expiresMs
  const locked = session.value?.answers === false
  const named = session.value?.person !== undefined && people.length === 0
  const ready = !locked && online && (named || by.trim() !== '') && (people.length === 0 || pin.length >= 4)
  const busy = state?.kind === 'sending' || state?.kind === 'told'

  const send = async (choice: string) => {
    const said = named ? {} : { by: by.trim(), ...(people.length > 0 ? { pin } : {}) }
    const taken = await answer(asked, choice, said)
    setPin('')
    if (!taken) announce('The answer was not taken')
  }
  return (
    <article class="approval" data-approval={asked.id} aria-labelledby={`${id}-title`}>
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
          <WhoAnswers {...{ people, by, setBy, pin, setPin, locked, named }} />
          {!locked && (
            <div class="answers">
              {choices.map((choice) => (
                <button
                  key={choice}
                  type="button"
                  class={choice === 'yes' ? 'primary' : choice === 'no' ? 'caution' : ''}
                  aria-describedby={`${id}-title`}
                  disabled={!ready || busy}
                  onClick={() => void send(choice)}
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
      {state?.kind === 'failed' && !expired && (
        <p class="approval-failed" role="alert">
          Not answered: {state.message}
        </p>
      )}
    </article>
  )
}

/** Those whom the device itself knows by a PIN. */
function usePeople(device: string): readonly string[] {
  const [people, setPeople] = useState<readonly string[]>([])
  const online = devices.value.some((one) => one.id === device && one.availability === 'online')
  useEffect(() => {
    if (!online) return
    let over = false
    api.approvals(device).then(
      (result) => !over && setPeople(result.people),
      // The device then says by itself that it wants a PIN.
      () => {},
    )
    return () => {
      over = true
    }
  }, [device, online])
  return people
}
