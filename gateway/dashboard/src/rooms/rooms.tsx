/** The rooms with everything in them. Redrawn only when entities come or go; each card follows its own entity. */
import { computed, type Signal } from '@preact/signals'
import { useState } from 'preact/hooks'
import { EntityCard } from '../entities/card.tsx'
import { byKind, onlyReports } from '../entities/index.ts'
import { SensorTile } from '../entities/sensor.tsx'
import { type EntityView, keyOf } from '../entity.ts'
import { entities, loading } from '../state/home.ts'
import { sentence } from '../words.ts'
import { byFloorAndRoom, type Floor, type Room } from './grouping.ts'
import { NoHome } from './no-home.tsx'

const floors = computed(() => byFloorAndRoom([...entities.value.values()].map((source) => source.peek())))

export function Rooms() {
  const [chosen, setChosen] = useState('')
  const all = floors.value
  const rooms = all.flatMap((floor) => floor.rooms)
  const known = rooms.some((room) => room.key === chosen)
  return (
    <section class="rooms" id="rooms" aria-labelledby="rooms-title">
      <div class="section-head">
        <h2 id="rooms-title">Rooms</h2>
        {rooms.length > 1 && (
          <div class="choice">
            <label for="room-choice">Show</label>
            <select
              id="room-choice"
              value={known ? chosen : ''}
              onChange={(event) => setChosen(event.currentTarget.value)}
            >
              <option value="">All rooms</option>
              {rooms.map((room) => (
                <option key={room.key} value={room.key}>
                  {room.name}
                </option>
              ))}
            </select>
          </div>
        )}
      </div>
      {all.length === 0 && <NoHome loading={loading.value} />}
      {all.map((floor) => (
        <FloorSection key={floor.name ?? ''} floor={floor} chosen={known ? chosen : ''} />
      ))}
    </section>
  )
}

function FloorSection({ floor, chosen }: { readonly floor: Floor; readonly chosen: string }) {
  const shown = floor.rooms.filter((room) => chosen === '' || room.key === chosen)
  if (shown.length === 0) return null
  return (
    <>
      {floor.name !== undefined && <p class="floor-name">{floorWords(floor.name)}</p>}
      {shown.map((room) => (
        <RoomSection key={room.key} room={room} />
      ))}
    </>
  )
}

function floorWords(floor: string): string {
  return /^-?\d+$/.test(floor) ? `Floor ${floor}` : sentence(floor)
}

function RoomSection({ room }: { readonly room: Room }) {
  const operated = room.entities.filter((entity) => !onlyReports(entity)).sort(byKind)
  const reporting = room.entities.filter(onlyReports)
  return (
    <section class="room" aria-label={room.name}>
      <h3>{room.name}</h3>
      {operated.length > 0 && (
        <ul class="cards">
          {operated.map((entity) => (
            <Live key={keyOf(entity)} entity={entity} Shown={EntityCard} />
          ))}
        </ul>
      )}
      {reporting.length > 0 && (
        <ul class="tiles">
          {reporting.map((entity) => (
            <Live key={keyOf(entity)} entity={entity} Shown={SensorTileOf} />
          ))}
        </ul>
      )}
    </section>
  )
}

type Source = { readonly source: Signal<EntityView> }

function Live(props: { readonly entity: EntityView; readonly Shown: (props: Source) => preact.JSX.Element }) {
  const source = entities.value.get(keyOf(props.entity))
  return source ? <props.Shown source={source} /> : null
}

function SensorTileOf({ source }: Source) {
  return <SensorTile entity={source.value} />
}
