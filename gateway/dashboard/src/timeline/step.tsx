/** One step of a run: when it was reached, which entities it was about, and what telemetry showed. */
import { findEntity } from '../state/home.ts'
import { commandWords, duration, observedWords, timeOfDay } from '../words.ts'
import type { Part, Step } from './story.ts'

const stageWords: Readonly<Record<Step['stage'], string>> = {
  heard: 'Heard',
  understood: 'Understood',
  sent: 'Sent',
  verified: 'Verified',
  taken: 'Taken, cannot be shown',
  failed: 'Failed',
  answered: 'Answered',
  asked: 'Asked back',
  refused: 'Refused',
}

export function StepLine({ step, device }: { readonly step: Step; readonly device: string }) {
  return (
    <li class={`step ${step.stage}`}>
      <span class="step-name">{stageWords[step.stage]}</span>
      <span class="step-time">{duration(step.sinceMs)}</span>
      {step.parts.length > 0 && (
        <ul class="parts">
          {step.parts.map((part) => (
            <PartLine key={part.id} part={part} device={device} alone={step.parts.length === 1} />
          ))}
        </ul>
      )}
    </li>
  )
}

function PartLine(props: { readonly part: Part; readonly device: string; readonly alone: boolean }) {
  const { part, device, alone } = props
  const words = `${findEntity(part.entity, device)?.name ?? part.entity}: ${commandWords(part.command)}`
  if (!part.evidence) return <li>{words}</li>
  return (
    <li>
      {alone ? (
        <>
          {words}
          <EvidenceLines part={part} />
        </>
      ) : (
        <details>
          <summary>{words}</summary>
          <EvidenceLines part={part} />
        </details>
      )}
    </li>
  )
}

function EvidenceLines({ part: { evidence, command } }: { readonly part: Part }) {
  if (!evidence) return null
  const { observed } = evidence
  return (
    <dl class="evidence">
      {evidence.reason && (
        <>
          <dt>Note</dt>
          <dd>{evidence.reason}</dd>
        </>
      )}
      <dt>Expected</dt>
      <dd>{evidence.expected}</dd>
      <dt>Seen</dt>
      <dd>{observed ? `${observedWords(observed, command)}, at ${timeOfDay(observed.ts)}` : 'no report'}</dd>
      <dt>Tries</dt>
      <dd>{evidence.attempts}</dd>
    </dl>
  )
}
