/**
 * The answer to the last thing said, in words, with its outcome. A question shows what it could mean as buttons; a
 * failure shows what telemetry said instead. The space is there before the answer is, and is read aloud.
 */
import type { Outcome, SayResult } from '../../../../runtime/wire/messages.ts'
import { conversation } from '../state/conversation.ts'
import { failureWords } from '../state/feedback.ts'
import { findEntity } from '../state/home.ts'
import { ReadingWords } from '../timeline/reading.tsx'
import { Icon } from '../ui/icon.tsx'
import { duration } from '../words.ts'
import { withOption } from './option.ts'

interface Handlers {
  /** Puts words back into the line to change them. */
  readonly onAgain: (words: string) => void
  readonly onOption: (words: string) => void
}

export function Answer(props: Handlers) {
  return (
    <div class="answer" role="status">
      <Shown {...props} />
    </div>
  )
}

function Shown({ onAgain, onOption }: Handlers) {
  const now = conversation.value
  if (now.kind === 'idle') return <p class="quiet">The answer appears here.</p>
  if (now.kind === 'waiting')
    return (
      <p class="verdict pending">
        <Icon name="pending" />
        <span>Working on {now.said === 'your recording' ? now.said : `“${now.said}”`}…</span>
      </p>
    )
  if (now.kind === 'error')
    return (
      <>
        <p class="verdict failed">
          <Icon name="failed" />
          <span>{now.message}</span>
        </p>
        <p class="quiet">The rooms below show what the home reports.</p>
      </>
    )
  return <Result result={now.result} onAgain={onAgain} onOption={onOption} />
}

const verdicts: Readonly<Record<Outcome, string>> = {
  done: 'Done',
  failed: 'It did not work',
  refused: 'Not done',
  question: 'A question',
  uncertain: 'Nobody can tell',
}

function Result({ result, onAgain, onOption }: Handlers & { readonly result: SayResult }) {
  // The reply itself tells why a single command failed; of several it only sums up.
  const several = result.commands.length > 1
  const failures = result.commands.filter((command) => several && command.outcome !== 'done')
  const answered = result.outcome === 'done' && result.commands.length === 0
  return (
    <>
      <p class={`verdict ${result.outcome}`}>
        <Icon name={result.outcome === 'uncertain' ? 'question' : result.outcome} />
        <span>
          <strong class="unseen">{answered ? 'Answer' : verdicts[result.outcome]}: </strong>
          {result.reply}
        </span>
      </p>
      <p class="quiet">
        Heard “{result.transcript}”, answered after {duration(result.latencyMs)}
      </p>
      {failures.length > 0 && (
        <ul class="plain-list">
          {failures.map((report) => (
            <li key={report.entity}>
              {findEntity(report.entity)?.name ?? report.entity}: {failureWords(report)}
            </li>
          ))}
        </ul>
      )}
      {result.outcome === 'question' && <Options result={result} onOption={onOption} />}
      {(result.outcome === 'question' || result.outcome === 'refused') && (
        <button type="button" onClick={() => onAgain(result.transcript)}>
          Say it differently
        </button>
      )}
      {result.reading && result.reading.words.length > 0 && (
        <details class="why">
          <summary>Which words decided</summary>
          <ReadingWords reading={result.reading} />
        </details>
      )}
    </>
  )
}

function Options({ result, onOption }: Pick<Handlers, 'onOption'> & { readonly result: SayResult }) {
  const options = result.options ?? []
  if (options.length === 0) return null
  return (
    <ul class="suggestions" aria-label="What it could mean">
      {options.map((option) => (
        <li key={option}>
          <button type="button" class="chip" onClick={() => onOption(withOption(result, option))}>
            {option}
          </button>
        </li>
      ))}
    </ul>
  )
}
