/** What agents may do only after a person's yes, at the very top of the page; nothing while nothing waits. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { asked, keyOfOver, over } from '../state/agents.ts'
import { nowMs } from '../state/clock.ts'
import { useKeptFocus } from '../ui/kept-focus.ts'
import { timeOfDay } from '../words.ts'
import { overWords, plainAsk } from './agent-words.ts'
import { ApprovalCard } from './approval-card.tsx'

/** An answer, and that it was too late, stays in sight for so long. */
const shownMs = 10 * 60_000
/** As long as a second press, or one that was on its way, may take. */
const stillMs = 700

export function Approvals() {
  const waiting = asked.value
  const recent = over.value.filter(({ atMs }) => nowMs.value - atMs < shownMs)
  const still = useStill(waiting.map((one) => keyOfOver({ device: one.device, approval: one.id })).join(' '))
  const title = useRef<HTMLHeadingElement>(null)
  // What was answered goes, with the focus that was on it: what is left of this takes it.
  const kept = useKeptFocus<HTMLElement>(() => title.current)

  if (waiting.length === 0 && recent.length === 0) return null
  return (
    <section class="approvals" id="approvals" aria-labelledby="approvals-title" {...kept}>
      <h2 id="approvals-title" ref={title} tabIndex={-1}>
        {waiting.length === 0
          ? 'Nothing waits for an answer'
          : waiting.length === 1
            ? 'An agent waits for your answer'
            : `${waiting.length} questions wait for your answer`}
      </h2>
      {waiting.map((one) => (
        <ApprovalCard key={keyOfOver({ device: one.device, approval: one.id })} asked={one} still={still} />
      ))}
      {recent.length > 0 && (
        <ul class="over" aria-label="Answered lately">
          {recent.map((one) => (
            <li key={keyOfOver(one)} data-over={one.state}>
              <span>
                {one.agent}: {plainAsk(one.words, one.device)}
              </span>
              <span class="quiet">
                {overWords(one)} · {timeOfDay(one.atMs)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

/** Questions come and go by themselves, and move the others: for a moment no press counts, that it may not answer another one. */
function useStill(keys: string): boolean {
  const [stood, setStood] = useState('')
  useEffect(() => {
    const timer = setTimeout(() => setStood(keys), stillMs)
    return () => clearTimeout(timer)
  }, [keys])
  return stood === keys
}
