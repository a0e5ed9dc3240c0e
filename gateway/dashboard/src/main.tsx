/** Starts the dashboard. */
import { render } from 'preact'
import 'uplot/dist/uPlot.min.css'
import './styles/tokens.css'
import './styles/page.css'
import './styles/controls.css'
import './styles/cards.css'
import './styles/timeline.css'
import './styles/agents.css'
import { App } from './app.tsx'
import { startClock } from './state/clock.ts'
import { startSync } from './state/sync.ts'

const place = document.getElementById('app')
if (!place) throw new Error('the page has no #app')
startClock()
startSync()
render(<App />, place)
