/** The page: header, what to say, rooms, activity, devices. */
import { Agents } from './agents/agents.tsx'
import { Approvals } from './agents/approvals.tsx'
import { ConnectionState, LostBanner } from './connection/connection-state.tsx'
import { Login } from './connection/login.tsx'
import { Console } from './console/console.tsx'
import { Devices } from './devices/devices.tsx'
import { Rooms } from './rooms/rooms.tsx'
import { announcement } from './state/announce.ts'
import { loading } from './state/home.ts'
import { Timeline } from './timeline/timeline.tsx'

export function App() {
  const locked = loading.value.kind === 'locked'
  return (
    <>
      <a class="skip" href="#main">
        Skip to what matters
      </a>
      <header>
        <h1>Ganglion</h1>
        {locked ? (
          <span class="nav-place" />
        ) : (
          <nav aria-label="Parts of this page">
            <a href="#rooms">Rooms</a>
            <a href="#agents">Agents</a>
            <a href="#activity">Activity</a>
            <a href="#devices">Devices</a>
          </nav>
        )}
        <ConnectionState />
      </header>
      <LostBanner />
      <main id="main" tabIndex={-1}>
        {locked ? <Login /> : <Home />}
      </main>
      <p class="unseen" role="status">
        {announcement.value}
      </p>
    </>
  )
}

function Home() {
  return (
    <>
      <Approvals />
      <Console />
      <Rooms />
      <div class="aside">
        <Agents />
        <Timeline />
        <Devices />
      </div>
    </>
  )
}
