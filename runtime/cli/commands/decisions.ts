/** `ganglion decisions`: what a device decided together with the others lately, whom it believes, and who holds which lease. */
import type { DecisionEvent } from '../../wire/decide.ts'
import type { TogetherResult } from '../../wire/together.ts'
import type { Context } from '../context.ts'
import { openHub } from '../hub.ts'
import { onlyDevice } from '../only-device.ts'
import { plainText, type Terminal } from '../terminal.ts'

export interface DecisionsOptions {
  readonly url?: string
  readonly device?: string
}

export async function decisions(options: DecisionsOptions, context: Context): Promise<number> {
  const hub = openHub(options, context)
  const device = options.device ?? (await onlyDevice(hub))
  const together = await hub.get<TogetherResult>(`/api/devices/${encodeURIComponent(device)}/together`)
  const { terminal } = context
  if (terminal.json) terminal.out(JSON.stringify({ device, ...together }))
  else for (const line of lines(device, together, terminal)) terminal.out(line)
  return 0
}

/** Plain words: the oldest first, as a log. */
export function lines(
  device: string,
  { devices, decisions: ended, leases }: TogetherResult,
  terminal: Pick<Terminal, 'style'>,
): string[] {
  const others = devices.filter((one) => one.device !== device).map((one) => one.device)
  return [
    others.length === 0 ? `${device} knows no other device` : `${device} decides with ${others.join(', ')}`,
    ...(ended.length === 0 ? ['nothing was decided since it started'] : []),
    ...ended.flatMap((one) => decisionLines(one, terminal)),
    ...leases.map(
      ({ name, holder, leftMs }) =>
        `${holder} holds ${name}, for another ${Math.ceil(leftMs / 1000)} s at least`,
    ),
  ]
}

function decisionLines(
  { atMs, kind, subject, decided, winner, price, reason, notes }: DecisionEvent,
  { style }: Pick<Terminal, 'style'>,
): string[] {
  const time = style('dim', new Date(atMs).toLocaleTimeString('en-GB'))
  const mark = decided ? style('green', '✓') : style('yellow', '–')
  const won = winner === undefined ? '' : `${winner}${price === undefined ? '' : ` for ${price}`}: `
  return [
    `${time}  ${mark} ${kind} ${style('bold', subject)}  ${won}${plainText(reason)}`,
    ...notes.map((note) => `            ${plainText(note)}`),
  ]
}
