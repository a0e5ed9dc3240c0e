/** One utterance or command: its verdict, a bar of where the time went, and its steps. */
import type { RunRecord } from '../api.ts'
import { nowMs } from '../state/clock.ts'
import { findEntity } from '../state/home.ts'
import { Icon, type IconName } from '../ui/icon.tsx'
import { commandWords, duration, timeOfDay } from '../words.ts'
import { ReadingWords } from './reading.tsx'
import { StepLine } from './step.tsx'
import { type Story, segmentsOf, storyOf, type Verdict } from './story.ts'

const verdicts: Readonly<Record<Verdict, readonly [icon: IconName, words: string]>> = {
  done: ['done', 'Done'],
  taken: ['pending', 'Taken'],
  failed: ['failed', 'Did not work'],
  refused: ['refused', 'Refused'],
  question: ['question', 'Asked back'],
  pending: ['pending', 'Checking'],
  unfinished: ['question', 'No result reported'],
}

export function Run({ run, open }: { readonly run: RunRecord; readonly open: boolean }) {
  const rough = storyOf(run, 0)
  // Only a run that waits needs the time of day.
  const story = rough.verdict === 'pending' ? storyOf(run, nowMs.value) : rough
  const [icon, words] = verdicts[story.verdict]
  return (
    <li class={`run ${story.verdict}`} data-run={run.run} data-verdict={story.verdict}>
      <details open={open}>
        <summary>
          <span class="run-title">{titleOf(story, run.device)}</span>
          <span class="run-verdict">
            <Icon name={icon} />
            {words}
            {story.verdict !== 'pending' && ` · ${duration(story.totalMs)}`}
          </span>
          <time class="quiet small" dateTime={new Date(story.startedTs).toISOString()}>
            {timeOfDay(story.startedTs)}
          </time>
          <Bar story={story} />
        </summary>
        <div class="run-body">
          {story.reply && <p>{story.reply}</p>}
          <ol class="steps">
            {story.steps.map((step) => (
              <StepLine key={step.id} step={step} device={run.device} />
            ))}
          </ol>
          {story.reading && <ReadingWords reading={story.reading} />}
        </div>
      </details>
    </li>
  )
}

function titleOf(story: Story, device: string): string {
  if (story.transcript) return `“${story.transcript}”`
  const part = story.steps.flatMap((step) => step.parts)[0]
  if (!part) return 'A command'
  return `${findEntity(part.entity, device)?.name ?? part.entity}: ${commandWords(part.command)}`
}

/** Where the time went. Decoration: the steps below say the same in numbers. */
function Bar({ story }: { readonly story: Story }) {
  return (
    <span class="bar" aria-hidden="true">
      {segmentsOf(story).map((segment, at) => (
        <span
          key={`${at} ${segment.stage}`}
          class={`bar-${segment.stage}`}
          style={{ flexGrow: segment.share }}
        />
      ))}
    </span>
  )
}
