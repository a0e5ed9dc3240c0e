/**
 * Keeps the page's state equal to the gateway's. At each connection everything is loaded (events in between were
 * missed), then events follow. Events that arrive while loading are newer than what was loaded, so they are held back
 * and applied after it.
 */
import type { CommandEvent } from '../../../../runtime/wire/messages.ts'
import { ApiError, api } from '../api.ts'
import type { EntityView } from '../entity.ts'
import { type Live, type LiveEvent, openLive } from '../live.ts'
import { agentsEvent, isAgentsEvent, loadAgents } from './agents-sync.ts'
import { connection } from './connection.ts'
import { followEvent } from './feedback.ts'
import { loading, replaceHome, reportEntity } from './home.ts'
import { addEvent, replaceRuns, runsMax } from './runs.ts'

/** More held-back events than this and loading again is cheaper than replaying them. */
const heldMax = 2000
/** A gateway that is up but could not answer gets this long before it is asked again. */
const againAfterMs = 5000

interface Held {
  readonly kind: LiveEvent
  readonly value: unknown
}

let live: Live | undefined
let held: Held[] | undefined
let again = false
let retry: ReturnType<typeof setTimeout> | undefined

/** Starts following the gateway, until the page is left. */
export function startSync(): void {
  live = openLive('api/events', {
    onOpen: () => {
      connection.value = 'live'
      void load()
    },
    onLost: () => {
      connection.value = 'lost'
      // A stream that is refused says nothing; loading tells whether the gateway is away or wants its token.
      if (loading.peek().kind !== 'ready') void load()
    },
    onEvent: (kind, value) => {
      if (isAgentsEvent(kind)) agentsEvent(kind, value)
      else apply({ kind, value })
    },
  })
}

/** Goes on at once, after the token was shown. */
export function resumeSync(): void {
  live?.retryNow()
  void load()
}

async function load(): Promise<void> {
  if (held) {
    again = true
    return
  }
  held = []
  again = false
  void loadAgents()
  clearTimeout(retry)
  try {
    const [home, commands] = await Promise.all([api.home(), api.commands(runsMax)])
    replaceHome(home)
    replaceRuns(commands.runs)
  } catch (error) {
    failed(error)
  }
  const late = held
  held = undefined
  for (const event of late) apply(event)
  if (again) void load()
}

function failed(error: unknown): void {
  if (error instanceof ApiError && error.code === 'unauthorized') {
    loading.value = { kind: 'locked' }
    return
  }
  if (loading.peek().kind !== 'ready')
    loading.value = { kind: 'failed', message: error instanceof Error ? error.message : String(error) }
  retry = setTimeout(() => void load(), againAfterMs)
}

function apply(event: Held): void {
  if (!held) take(event)
  else if (held.length < heldMax) held.push(event)
  else again = true
}

function take({ kind, value }: Held): void {
  // A device that comes, goes or changes its home changes what is available everywhere.
  if (kind === 'reset' || kind === 'device') void load()
  else if (kind === 'entity') takeReport(value as EntityView | undefined)
  else takeCommand(value as (CommandEvent & { readonly device: string }) | undefined)
}

function takeReport(report: EntityView | undefined): void {
  if (report && !reportEntity(report)) void load()
}

function takeCommand(event: (CommandEvent & { readonly device: string }) | undefined): void {
  if (!event) return
  addEvent(event, event.device)
  followEvent(event, event.device)
}
