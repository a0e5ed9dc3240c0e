/** What devices decided together, newest first, each with its reason and what was odd about it. */
import { Fragment } from 'preact'
import { type DecisionView, decisions } from '../state/agents.ts'
import { timeOfDay } from '../words.ts'
import { decisionTitle, outcomeWords } from './agent-words.ts'

export function Decisions() {
  const all = decisions.value
  return (
    <section class="decisions" aria-labelledby="decisions-title">
      <h3 id="decisions-title">Decided together</h3>
      {all.length === 0 ? (
        <p class="quiet small">
          The devices of this site have decided nothing together since this gateway started.
        </p>
      ) : (
        <ol class="decision-list">
          {all.map((one) => (
            <Decision key={one.decision} decision={one} />
          ))}
        </ol>
      )}
    </section>
  )
}

function Decision({ decision }: { readonly decision: DecisionView }) {
  const { decided, reason, notes, members, quorum, opener, toldBy, differing, atMs } = decision
  return (
    <li class={`decision ${decided ? 'decided' : 'undecided'}`} data-decision={decision.decision}>
      <details>
        <summary>
          <span class="decision-title">{decisionTitle(decision)}</span>
          <span class={`badge ${decided ? 'good' : 'bad'}`}>{outcomeWords(decision)}</span>
          <time class="quiet small" dateTime={new Date(atMs).toISOString()}>
            {timeOfDay(atMs)}
          </time>
        </summary>
        <dl class="facts small">
          <dt>Why</dt>
          <dd>{reason === '' ? 'No reason is given' : reason}</dd>
          <dt>Opened by</dt>
          <dd>{opener}</dd>
          <dt>Asked</dt>
          <dd>
            {members} {members === 1 ? 'device' : 'devices'}; {quorum} had to take part
          </dd>
          <dt>Told by</dt>
          <dd>{toldBy.join(', ')}</dd>
          {differing.map((one) => (
            <Fragment key={one.device}>
              <dt>{one.device} says</dt>
              <dd>
                {one.decided ? `${one.winner ?? 'it'} won` : 'nothing decided'}: {one.reason}
              </dd>
            </Fragment>
          ))}
          {notes.length > 0 && (
            <>
              <dt>Odd</dt>
              <dd>{notes.join('; ')}</dd>
            </>
          )}
        </dl>
      </details>
    </li>
  )
}
