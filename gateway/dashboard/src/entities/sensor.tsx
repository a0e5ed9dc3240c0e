/** Sensor: its value and unit in large, and a sparkline of what it reported while the page was open. */
import type { EntityView } from '../entity.ts'
import { keyOf, reading } from '../entity.ts'
import { Age } from '../ui/age.tsx'
import { stateWords } from '../words.ts'
import { Sparkline } from './sparkline.tsx'

export function SensorTile({ entity }: { readonly entity: EntityView }) {
  const numeric = reading(entity) !== undefined
  return (
    <li class={`tile ${entity.available ? '' : 'away'}`} data-entity={entity.id}>
      <h4>{entity.name}</h4>
      <p class="value">{stateWords(entity)}</p>
      {numeric && <Sparkline entityKey={keyOf(entity)} name={entity.name} unit={entity.unit ?? ''} />}
      <p class="tile-foot quiet small">
        <Age ts={entity.ts} />
        {entity.simulated && <span class="badge">Simulated</span>}
      </p>
    </li>
  )
}
