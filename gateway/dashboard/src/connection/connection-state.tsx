/** Whether the page is live, in the header; and a banner when it is not, because then everything below is old. */
import { connection } from '../state/connection.ts'
import { loading } from '../state/home.ts'

const words = { connecting: 'Connecting', live: 'Live', lost: 'Not live' } as const

export function ConnectionState() {
  const now = connection.value
  const locked = loading.value.kind === 'locked'
  return (
    <p class={`connection ${now}`} role="status" data-connection={now}>
      <span class="dot" aria-hidden="true" />
      {locked ? 'Locked' : words[now]}
    </p>
  )
}

export function LostBanner() {
  if (connection.value !== 'lost' || loading.value.kind === 'locked') return null
  return (
    <p class="banner" role="alert">
      The gateway cannot be reached. What you see may be out of date; connecting again…
    </p>
  )
}
