/** Facts that the devices of a site share, as one of them has checked them. What has run out is not shown. */
import { facts, moreFacts } from '../state/agents.ts'
import { nowMs } from '../state/clock.ts'
import { ago, span } from '../words.ts'
import { valueWords } from './agent-words.ts'

export function Board() {
  const now = facts.value.filter(({ untilMs }) => untilMs > nowMs.value)
  return (
    <section class="board" aria-labelledby="board-title">
      <h3 id="board-title">Shared facts</h3>
      {now.length === 0 ? (
        <p class="quiet small">The devices of this site share no facts now.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard (WCAG 2.1.1)
        <section class="scrolls" aria-label="Table of shared facts" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Fact</th>
                <th scope="col">Value</th>
                <th scope="col">From</th>
              </tr>
            </thead>
            <tbody>
              {now.map((fact) => (
                <tr key={fact.key} data-fact={fact.key}>
                  <th scope="row">{fact.key}</th>
                  <td>
                    {valueWords(fact.value)}
                    <span class="row-note">
                      {ago(fact.tsMs, nowMs.value)}, holds for {span(fact.untilMs - nowMs.value)}
                    </span>
                  </td>
                  <td>{fact.author}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {moreFacts.value && (
        <p class="quiet small">
          More are shared than fit here: <code>ganglion board</code> shows all.
        </p>
      )}
    </section>
  )
}
