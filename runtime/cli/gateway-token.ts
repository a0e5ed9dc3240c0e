/** The gateway's bearer token. From the environment and never from the command line, which every process can read. */

export function gatewayToken(): string | undefined {
  return process.env['GANGLION_GATEWAY_TOKEN'] || undefined
}

/** The header that carries it; none without a token. */
export function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}
