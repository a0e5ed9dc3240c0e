/** Who answers: the person that is logged in, one that the device knows by a PIN, or, where nobody is known, the name that they give. */
import { useId, useState } from 'preact/hooks'
import { api } from '../api.ts'
import { session } from '../state/agents.ts'
import { loadSession } from '../state/agents-sync.ts'

export function WhoAnswers(props: {
  readonly people: readonly string[]
  readonly by: string
  readonly setBy: (name: string) => void
  readonly pin: string
  readonly setPin: (pin: string) => void
  readonly locked: boolean
  readonly named: boolean
}) {
  const { people, by, setBy, pin, setPin } = props
  const id = useId()
  const person = session.value?.person
  if (props.locked) return <PersonLogin why={session.value?.why ?? ''} />
  if (props.named)
    return (
      <p class="who">
        <span>
          You answer as <strong>{person}</strong>.
        </span>
        <button type="button" class="plain" onClick={() => void api.logout().then(loadSession)}>
          Not {person}?
        </button>
      </p>
    )
  if (people.length > 0)
    return (
      <div class="who">
        <span>
          <label for={`${id}-by`}>You are</label>
          <select id={`${id}-by`} value={by} onChange={(event) => setBy(event.currentTarget.value)}>
            <option value="">Choose</option>
            {people.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </span>
        <span>
          <label for={`${id}-pin`}>PIN</label>
          <input
            id={`${id}-pin`}
            type="password"
            inputMode="numeric"
            autocomplete="off"
            maxLength={64}
            value={pin}
            onInput={(event) => setPin(event.currentTarget.value)}
          />
        </span>
      </div>
    )
  return (
    <div class="who">
      <label for={`${id}-by`}>Your name, for the record</label>
      <input
        id={`${id}-by`}
        type="text"
        autocomplete="nickname"
        maxLength={64}
        value={by}
        onInput={(event) => setBy(event.currentTarget.value)}
      />
    </div>
  )
}

/** Where the household is known by name, one of them it must be. */
function PersonLogin({ why }: { readonly why: string }) {
  const id = useId()
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState('')
  const login = async () => {
    try {
      await api.login(token.trim())
      await loadSession()
      setToken('')
      setProblem('')
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
      <p>{session.value?.person === undefined ? 'Only a person of this household may answer.' : why}</p>
      <label for={`${id}-token`}>Your own token</label>
      <input
        id={`${id}-token`}
        type="password"
        autocomplete="current-password"
        maxLength={1024}
        value={token}
        onInput={(event) => setToken(event.currentTarget.value)}
      />
      <button type="submit" class="primary" disabled={token.trim() === ''}>
        Log in
      </button>
      <p class="approval-failed" role="alert">
        {problem}
      </p>
    </form>
  )
}
