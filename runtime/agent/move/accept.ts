/**
 * Whether an agent of another device is taken at all, as this device's own people have said in its configuration. It is looked at
 * before anything is opened or looked up for whoever asks.
 *
 * [move-9] Nobody moves an agent here whom this device's configuration does not name; where it knows its people, the other device must
 * say that a person proved there who they are.
 */
import type { MoveBody } from '../../wire/move.ts'

export interface AcceptOptions {
  /** Devices whose agents may move here; `*`: of all that are believed. */
  readonly acceptFrom: readonly string[]
  /** Devices of whose agents copies are kept here. */
  readonly keepsFor: readonly string[]
  /** This device knows its people. */
  readonly proven: boolean
}

type Ask = Pick<Extract<MoveBody, { kind: 'ask' }>, 'copy' | 'proven'>

/** One line that says what to do; undefined where it is taken. */
export function acceptRefusal(
  { acceptFrom, keepsFor, proven }: AcceptOptions,
  from: string,
  ask: Ask,
): string | undefined {
  if (ask.copy)
    return keepsFor.includes(from)
      ? undefined
      : `it keeps no copies of agents of ${from} (device.agents.takeOver)`
  if (!acceptFrom.includes(from) && !acceptFrom.includes('*'))
    return `agents of ${from} do not come there: name ${from} in device.agents.acceptFrom of its configuration`
  if (proven && !ask.proven)
    return `it knows its people (device.people), and nobody has proved to ${from} who they are: ask on the machine of ${from}, or with --by NAME --pin`
  return undefined
}
