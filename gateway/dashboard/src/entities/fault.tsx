/** Makes a simulated device misbehave, to see that the house says so. Only simulated entities have it. */
import { useId, useState } from 'preact/hooks'
import { simulateFault } from '../actions.ts'
import { type FaultKind, faultKinds } from '../api.ts'
import type { EntityView } from '../entity.ts'

const meanings: Readonly<Record<FaultKind, string>> = {
  stuck: 'Stuck: does not move',
  slow: 'Slow: takes ten times as long',
  'lost-command': 'Lost command: hears nothing',
  lying: 'Lying: claims it moved',
  offline: 'Offline: says nothing',
}

export function FaultControl({ entity }: { readonly entity: EntityView }) {
  const [kind, setKind] = useState<FaultKind>('stuck')
  const [busy, setBusy] = useState(false)
  const [outcome, setOutcome] = useState('')
  const id = useId()
  const inject = async (wanted: FaultKind | null) => {
    setBusy(true)
    setOutcome(await simulateFault(entity, wanted))
    setBusy(false)
  }
  return (
    <fieldset class="fault">
      <legend>Simulate a fault</legend>
      <label class="unseen" for={id}>
        Fault of {entity.name}
      </label>
      <select id={id} value={kind} onChange={(event) => setKind(event.currentTarget.value as FaultKind)}>
        {faultKinds.map((each) => (
          <option key={each} value={each}>
            {meanings[each]}
          </option>
        ))}
      </select>
      <div class="buttons">
        <button type="button" disabled={busy} onClick={() => void inject(kind)}>
          Start fault
        </button>
        <button type="button" disabled={busy} onClick={() => void inject(null)}>
          Clear fault
        </button>
      </div>
      <p class="small quiet" role="status">
        {outcome}
      </p>
    </fieldset>
  )
}
