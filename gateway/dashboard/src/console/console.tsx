/** Where a person tells the home what to do: a line to type, a recording to send, and the answer. */
import { computed } from '@preact/signals'
import { useRef, useState } from 'preact/hooks'
import { wireLimits } from '../../../../runtime/wire/limits.ts'
import { say } from '../actions.ts'
import { conversation, said, spokenTo } from '../state/conversation.ts'
import { entities, onlineDevices } from '../state/home.ts'
import { Icon } from '../ui/icon.tsx'
import { Answer } from './answer.tsx'
import { suggestions } from './suggestions.ts'
import { VoiceButtons } from './voice-buttons.tsx'

// Not live: suggestions that change under the finger are worse than one that is out of date.
const offered = computed(() => suggestions([...entities.value.values()].map((source) => source.peek())))

export function Console() {
  const [text, setText] = useState('')
  const line = useRef<HTMLInputElement>(null)
  const recall = useRecall(setText)
  const waiting = conversation.value.kind === 'waiting'
  const submit = (words: string) => {
    if (words.trim() === '' || waiting) return
    recall.reset()
    setText('')
    void say(words.trim())
    // The keyboard on a screen would cover the answer.
    if (matchMedia('(pointer: coarse)').matches) line.current?.blur()
    else line.current?.focus()
  }
  return (
    <section class="console" id="ask" aria-labelledby="ask-title">
      <h2 id="ask-title">Tell the home</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          submit(text)
        }}
      >
        <label class="unseen" for="say">
          What should happen?
        </label>
        <input
          id="say"
          ref={line}
          type="text"
          autocomplete="off"
          enterkeyhint="send"
          placeholder="Turn on the kitchen light"
          maxLength={wireLimits.utteranceCharsMax}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return
            event.preventDefault()
            recall.move(event.key === 'ArrowUp' ? 1 : -1, text)
          }}
        />
        <button type="submit" class="primary" disabled={waiting || text.trim() === ''}>
          <Icon name="send" />
          Send
        </button>
        <VoiceButtons disabled={waiting} />
        <SpokenTo />
      </form>
      {offered.value.length > 0 && (
        <ul class="suggestions" aria-label="Examples">
          {offered.value.map((words) => (
            <li key={words}>
              <button type="button" class="chip" disabled={waiting} onClick={() => submit(words)}>
                {words}
              </button>
            </li>
          ))}
        </ul>
      )}
      <Answer
        onAgain={(words) => {
          setText(words)
          line.current?.focus()
        }}
        onOption={submit}
      />
    </section>
  )
}

/** Which device listens; only where there is more than one. */
function SpokenTo() {
  const online = onlineDevices.value
  if (online.length < 2) return null
  return (
    <div class="choice">
      <label for="spoken-to">Speak to</label>
      <select
        id="spoken-to"
        value={spokenTo.value ?? online[0]?.id}
        onChange={(event) => {
          spokenTo.value = event.currentTarget.value
        }}
      >
        {online.map((device) => (
          <option key={device.id} value={device.id}>
            {device.name}
          </option>
        ))}
      </select>
    </div>
  )
}

/** Arrow up and down through what was said, as in a shell; the unfinished line comes back at the end. */
function useRecall(show: (text: string) => void) {
  const back = useRef(0)
  const unfinished = useRef('')
  return {
    reset() {
      back.current = 0
    },
    move(by: 1 | -1, text: string) {
      const lines = said.peek()
      if (back.current === 0) unfinished.current = text
      back.current = Math.max(0, Math.min(lines.length, back.current + by))
      show(back.current === 0 ? unfinished.current : (lines.at(-back.current) ?? ''))
    },
  }
}
