/**
 * One entity that can be operated: what it is, what it last reported and when, its controls, and what became of the
 * last command. The state shown is always the reported one; a wish never looks like a fact.
 */
import type { Signal } from '@preact/signals'
import { useState } from 'preact/hooks'
import { command } from '../actions.ts'
import { type EntityView, keyOf } from '../entity.ts'
import { type Feedback, feedbackOf } from '../state/feedback.ts'
import { Age } from '../ui/age.tsx'
import { Icon, type IconName, iconOf } from '../ui/icon.tsx'
import { Toggle } from '../ui/toggle.tsx'
import { stateWords } from '../words.ts'
import type { ControlProps } from './controls.ts'
import { FaultControl } from './fault.tsx'
import { type EntityUi, entityUis } from './index.ts'

const nothing: EntityUi = {}

export function EntityCard({ source }: { readonly source: Signal<EntityView> }) {
  const entity = source.value
  const [open, setOpen] = useState(false)
  const ui = entityUis[entity.kind] ?? nothing
  const feedback = feedbackOf(keyOf(entity)).value
  const props: ControlProps = {
    entity,
    busy: feedback.kind === 'pending',
    disabled: !entity.available,
    send: (wanted) => void command(entity, wanted),
  }
  return (
    <li class={cardClass(entity, feedback)} data-entity={entity.id} data-state={entity.state}>
      <div class="card-head">
        <span class="bulb" style={{ '--shine': ui.shine?.(entity) ?? null }}>
          <Icon name={iconOf(entity.kind)} />
        </span>
        <div class="card-title">
          <h4>{entity.name}</h4>
          <p class="state">
            {wordsFor(entity, ui)}
            {entity.simulated && <span class="badge">Simulated</span>}
          </p>
        </div>
        {ui.power && (
          <Toggle
            label={`${entity.name} on`}
            on={isOn(entity)}
            busy={props.busy}
            disabled={props.disabled}
            onToggle={(on) => props.send({ state: on ? 'on' : 'off' })}
          />
        )}
      </div>
      {ui.Controls && (
        <div class="controls">
          <ui.Controls {...props} />
        </div>
      )}
      <div class="card-foot">
        <p class={`feedback ${feedback.kind}`}>
          <FeedbackLine entity={entity} feedback={feedback} />
        </p>
        <button
          type="button"
          class="plain more"
          aria-expanded={open}
          aria-label={`More about ${entity.name}`}
          onClick={() => setOpen(!open)}
        >
          {open ? 'Less' : 'More'}
        </button>
      </div>
      {open && (
        <div class="more-body">
          {ui.More && <ui.More {...props} />}
          <p class="quiet small">
            <code>{entity.id}</code> on {entity.device}
          </p>
          {entity.simulated && <FaultControl entity={entity} />}
        </div>
      )}
    </li>
  )
}

function cardClass(entity: EntityView, feedback: Feedback): string {
  const live = entity.available ? (isOn(entity) ? 'on' : '') : 'away'
  const trouble = feedback.kind === 'failed' || feedback.kind === 'refused' ? 'trouble' : ''
  return `card ${live} ${trouble}`
}

function isOn(entity: EntityView): boolean {
  if (entity.kind === 'media_player')
    return !['off', 'standby', 'unknown', 'unavailable'].includes(entity.state)
  return entity.state === 'on'
}

function wordsFor(entity: EntityView, ui: EntityUi): string {
  const state = stateWords(entity)
  return entity.available && ui.words ? ui.words(entity, state) : state
}

const icons: Readonly<Record<string, IconName>> = {
  pending: 'pending',
  verified: 'done',
  taken: 'pending',
  failed: 'failed',
  refused: 'refused',
}

/** What became of the last command; without one, how old the report is. */
function FeedbackLine({ entity, feedback }: { readonly entity: EntityView; readonly feedback: Feedback }) {
  const icon = icons[feedback.kind]
  if (feedback.kind !== 'none' && icon)
    return (
      <>
        <Icon name={icon} />
        <span>{feedback.text}</span>
      </>
    )
  return <Age ts={entity.ts} />
}
