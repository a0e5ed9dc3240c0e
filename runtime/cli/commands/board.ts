/** `ganglion board`: the facts that the devices of a home share, as one of them has them; all, those of a pattern, or as they change. */
import { realClock, sleep } from '../../base/clock.ts'
import type { BoardFact, BoardResult } from '../../wire/board.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import type { HubClient } from '../hub-client.ts'
import { onlyDevice } from '../only-device.ts'
import { plainText, type Terminal } from '../terminal.ts'

export interface BoardOptions {
  readonly url?: string
  readonly device?: string
  readonly watch?: boolean
}

const everyMs = 1_000

/** Once, or with `--watch` until Ctrl-C: what is there, then each change. With `--json` one object, or one a change. */
export async function board(
  pattern: string | undefined,
  options: BoardOptions,
  context: Context,
): Promise<number> {
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  const { terminal, signal } = context
  const first = await allOf(hub, device, pattern)
  if (!options.watch) {
    if (terminal.json) terminal.out(JSON.stringify({ device, ...first }))
    else for (const line of lines(first, pattern, terminal)) terminal.out(line)
    return 0
  }
  let shown = new Map<string, BoardFact>()
  for (let now = first; ; now = await allOf(hub, device, pattern)) {
    const next = new Map(now.facts.map((fact) => [fact.key, fact]))
    for (const fact of changes(shown, next))
      terminal.out(terminal.json ? JSON.stringify({ device, ...fact }) : line(fact, terminal))
    shown = next
    await sleep(realClock, everyMs, signal)
  }
}

type Change = BoardFact & { readonly gone?: true }

/** What was written since, and what is gone. */
export function changes(
  before: ReadonlyMap<string, BoardFact>,
  now: ReadonlyMap<string, BoardFact>,
): Change[] {
  const written = [...now.values()].filter((fact) => {
    const known = before.get(fact.key)
    return known?.version !== fact.version || known.author !== fact.author || known.tsMs !== fact.tsMs
  })
  const gone = [...before.values()].filter(({ key }) => !now.has(key))
  return [...written, ...gone.map((fact) => ({ ...fact, value: null, gone: true as const }))]
}

/** A board has a thousand facts at most, and a page a hundred. */
async function allOf(hub: HubClient, device: string, pattern: string | undefined): Promise<BoardResult> {
  const path = `/api/devices/${encodeURIComponent(device)}/board`
  const facts: BoardFact[] = []
  for (;;) {
    const after = facts.at(-1)?.key
    const query = new URLSearchParams({ ...(pattern && { pattern }), ...(after && { after }) })
    const page = await hub.get<BoardResult>(`${path}?${query}`)
    facts.push(...page.facts)
    if (!page.more || page.facts.length === 0) return { ...page, facts, more: false }
  }
}

export function lines(
  { facts, count, refused }: BoardResult,
  pattern: string | undefined,
  terminal: Pick<Terminal, 'style'>,
): string[] {
  const none = count === 0 ? 'nothing is shared' : `nothing fits ${pattern}; ${count} facts are shared`
  return [
    ...(facts.length === 0 ? [none] : facts.map((fact) => line(fact, terminal))),
    ...(refused === 0 ? [] : [terminal.style('yellow', `${refused} messages to the board were refused`)]),
  ]
}

function line(fact: Change, { style }: Pick<Terminal, 'style'>): string {
  const { key, value, version, author, tsMs, gone } = fact
  const time = style('dim', new Date(tsMs).toLocaleString('en-GB'))
  const shown = gone ? style('dim', 'gone') : plainText(JSON.stringify(value))
  return `${time}  ${style('bold', key)}  ${shown}  ${style('dim', `version ${version}, by ${author}`)}`
}
