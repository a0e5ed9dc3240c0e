/** The closed set of operating errors of the gateway. `message` is one line for a person. */
import { CodedError } from '../runtime/base/errors.ts'

export type GatewayErrorCode =
  /** The port to listen on is taken. */
  | 'port-in-use'
  /** Listening failed for another reason (permission, no such address). */
  | 'listen'
  /** The state folder cannot be written. */
  | 'state-dir'

export class GatewayError extends CodedError<GatewayErrorCode> {
  override readonly name = 'GatewayError'
}

/** Turns what `listen` threw into one line that names the port and the option to change. */
export function listenError(error: unknown, host: string, port: number, option: string): GatewayError {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EADDRINUSE')
    return new GatewayError(
      'port-in-use',
      `port ${port} on ${host} is in use: stop what listens there, or choose another with ${option}`,
      { cause: error },
    )
  return new GatewayError(
    'listen',
    `cannot listen on ${host}:${port} (${code ?? String(error)}): change ${option}`,
    {
      cause: error,
    },
  )
}

/** Whether a host to bind to is reachable from this machine only. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
