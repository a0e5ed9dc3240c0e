/** To-do list: its items, done or removed by a press, and a line to add one. */
import { useId, useState } from 'preact/hooks'
import { type EntityView, todoItems } from '../entity.ts'
import type { ControlProps } from './controls.ts'

const itemCharsMax = 200

export function TodoControls({ entity, disabled, send }: ControlProps) {
  const items = todoItems(entity.attributes)
  return (
    <>
      {items.length === 0 && <p class="quiet">Nothing on this list.</p>}
      <ul class="todo">
        {items.map((item) => (
          <li key={item.text} class={item.done ? 'done' : ''}>
            <label class="check">
              <input
                type="checkbox"
                checked={item.done}
                disabled={disabled || item.done}
                onClick={(event) => {
                  // The tick follows the device's report, not the finger.
                  event.preventDefault()
                  send({ action: 'complete_item', item: item.text })
                }}
              />
              {item.text}
            </label>
            <button
              type="button"
              class="plain"
              aria-label={`Remove ${item.text}`}
              disabled={disabled}
              onClick={() => send({ action: 'remove_item', item: item.text })}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      <AddItem disabled={disabled} onAdd={(item) => send({ action: 'add_item', item })} />
    </>
  )
}

/** The state of a list is the number of its open items. */
export function todoWords(entity: EntityView, state: string): string {
  if (!/^\d+$/.test(entity.state)) return state
  return entity.state === '0' ? 'Nothing to do' : `${entity.state} to do`
}

function AddItem({ disabled, onAdd }: { disabled: boolean; onAdd: (item: string) => void }) {
  const [text, setText] = useState('')
  const id = useId()
  return (
    <form
      class="add-item"
      onSubmit={(event) => {
        event.preventDefault()
        if (text.trim() === '') return
        onAdd(text.trim())
        setText('')
      }}
    >
      <label class="unseen" for={id}>
        New item
      </label>
      <input
        id={id}
        type="text"
        maxLength={itemCharsMax}
        placeholder="New item"
        value={text}
        disabled={disabled}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" disabled={disabled}>
        Add
      </button>
    </form>
  )
}
