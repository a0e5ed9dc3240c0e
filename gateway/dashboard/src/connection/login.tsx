/** Asks for the gateway's token, once: beyond this machine nobody operates the home without it. */
import { useState } from 'preact/hooks'
import { api } from '../api.ts'
import { resumeSync } from '../state/sync.ts'

export function Login() {
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState('')
  const send = async () => {
    try {
      await api.login(token.trim())
      resumeSync()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <section class="login" aria-labelledby="login-title">
      <h2 id="login-title">This gateway is locked</h2>
      <p class="quiet">Its token is in the gateway’s state folder, and is asked for once in each browser.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void send()
        }}
      >
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={token.trim() === ''}>
          Unlock
        </button>
      </form>
      <p role="alert">{problem}</p>
    </section>
  )
}
