/** What is said where a disk that is full keeps no record of what was asked of an agent, or not what it may do from now on. */
import { CodedError, messageOf } from '../base/errors.ts'
import { RpcError } from '../link/rpc-server.ts'

/** Why what was done is not on record; empty where it is. */
export interface Unrecorded {
  readonly unrecorded?: string
}

export const roomHint = 'where the disk is full, free some space on it'

/** What cannot be recorded is not done. */
export function refusedUnrecorded(error: unknown): RpcError {
  const line = `nothing was done: the audit log cannot be written (${messageOf(error)})`
  return new RpcError('unavailable', `${line}; ${roomHint} and try again`, { cause: error })
}

/** What an agent may do is kept in its file, or not at all; to be stopped it needs no room. */
export const orStop = (name: string) => (error: unknown) => {
  if (!(error instanceof CodedError) || error.code !== 'full') throw error
  const hint = `it may do what it might before; "ganglion agent stop ${name}" works all the same`
  throw new RpcError('unavailable', `${error.message}; ${hint}`, { cause: error })
}
