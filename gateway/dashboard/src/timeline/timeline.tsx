/** What was asked of the home, newest first, each with its whole story. */
import { keyOfRun, runs } from '../state/runs.ts'
import { Run } from './run.tsx'

export function Timeline() {
  return (
    <section class="timeline" id="activity" aria-labelledby="activity-title">
      <h2 id="activity-title">Activity</h2>
      {runs.value.length === 0 ? (
        <p class="empty">Nothing was asked yet. Each command appears here with what became of it.</p>
      ) : (
        <ol class="runs">
          {runs.value.map((run, at) => (
            <Run key={keyOfRun(run)} run={run} open={at === 0} />
          ))}
        </ol>
      )}
    </section>
  )
}
