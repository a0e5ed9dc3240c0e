/** Who acts: the person that is logged in, one that the device knows by a PIN, or, where nobody is known, the name that they give. */
import type { ComponentChildren } from 'preact'
import { useId, useState } from 'preact/hooks'
import { api } from '../api.ts'
import { session } from '../state/agents.ts'
import { loadSession } from '../state/agents-sync.ts'
import { useKeptFocus } from '../ui/kept-focus.ts'
import type { Who } from './who.ts'

/** `elsewhere`: how it is given where nobody is known here and a name is not enough. */
interface WhoAnswersProps {
  readonly who: Who
  readonly elsewhere?: ComponentChildren
}

export function WhoAnswers(props: WhoAnswersProps) {
  // Logging in puts other controls in the place of these.
  const kept = useKeptFocus<HTMLDivElement>()
  return (
    <div class="who-answers" {...kept}>
      {props.who.locked ? <PersonLogin /> : <Known {...props} />}
    </div>
  )
}

function Known({ who, elsewhere }: WhoAnswersProps) {
  const { people, by, setBy, pin, setPin, person } = who
  if (person !== undefined)
    return (
      <p class="who">
        <span>
          You are <strong>{person}</strong>.
        </span>
        <button type="button" class="plain" onClick={() => void logout()}>
          Not {person}?
        </button>
      </p>
    )
  if (people === 'asking') return <p class="quiet small">Asking the device whom it knows…</p>
  if (people === 'unknown')
    return (
      <p class="who">
        <span>The device does not say whom it knows.</span>
        <button type="button" class="plain" onClick={who.askAgain}>
          Ask again
        </button>
      </p>
    )
  if (who.unprovable) return elsewhere
  if (people.length === 0)
    return (
      <div class="who">
        <Field label="Your name, for the record">
          {(id) => (
            <input
              id={id}
              type="text"
              autocomplete="nickname"
              maxLength={64}
              value={by}
              onInput={(event) => setBy(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
    )
  return (
    <div class="who">
      <Field label="You are">
        {(id) => (
          <select id={id} value={by} onChange={(event) => setBy(event.currentTarget.value)}>
            <option value="">Choose</option>
            {people.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="PIN">
        {(id) => <Secret id={id} numeric value={pin} onInput={setPin} autocomplete="off" most={64} />}
      </Field>
    </div>
  )
}

/** Where the gateway is away the page says so, and nothing has changed. */
async function logout(): Promise<void> {
  await api
    .logout()
    .then(loadSession)
    .catch(() => {})
}

/** Where the household is known by name, one of them it must be. */
function PersonLogin() {
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState('')
  const login = async () => {
    try {
      await api.login(token.trim())
      setToken('')
      setProblem('')
      await loadSession()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <form
      class="who"
      onSubmit={(event) => {
        event.preventDefault()
        void login()
      }}
    >
      <p>
        {session.value?.person === undefined ? 'Only a person of this household may.' : session.value.why}
      </p>
      <Field label="Your own token">
        {(id) => (
          <Secret id={id} value={token} onInput={setToken} autocomplete="current-password" most={1024} />
        )}
      </Field>
      <button type="submit" class="primary" disabled={token.trim() === ''}>
        Log in
      </button>
      <p class="agent-problem" role="alert">
        {problem}
      </p>
    </form>
  )
}

function Field(props: { readonly label: string; readonly children: (id: string) => ComponentChildren }) {
  const id = useId()
  return (
    <span class="field">
      <label for={id}>{props.label}</label>
      {props.children(id)}
    </span>
  )
}

function Secret(props: {
  readonly id: string
  readonly value: string
  readonly onInput: (value: string) => void
  readonly autocomplete: 'off' | 'current-password'
  readonly most: number
  readonly numeric?: boolean
}) {
  return (
    <input
      id={props.id}
      type="password"
      inputMode={props.numeric ? 'numeric' : 'text'}
      autocomplete={props.autocomplete}
      maxLength={props.most}
      value={props.value}
      onInput={(event) => props.onInput(event.currentTarget.value)}
    />
  )
}
