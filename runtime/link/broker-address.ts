/** Reads a broker's URL: `mqtt://host[:port]` or, with TLS, `mqtts://host[:port]`. Names it without its secrets. */
import { LinkError } from './errors.ts'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly username?: string
  readonly password?: string
  /** For logs and people: never holds the password. */
  readonly display: string
}

/** Throws LinkError `config` with one line that says what to write instead. */
export function parseBrokerUrl(text: string): BrokerAddress {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new LinkError('config', 'the broker URL cannot be read: write it as mqtt://host:1883')
  }
  const protocol = url.protocol.slice(0, -1)
  if (protocol !== 'mqtt' && protocol !== 'mqtts')
    throw new LinkError('config', `the broker URL starts with ${protocol}://: use mqtt:// or mqtts:// (TLS)`)
  if (url.hostname === '') throw new LinkError('config', 'the broker URL names no host: mqtt://host:1883')
  const tls = protocol === 'mqtts'
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = url.port === '' ? (tls ? 8883 : 1883) : Number(url.port)
  return {
    host,
    port,
    tls,
    ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
    ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
    display: `${protocol}://${url.hostname}:${port}`,
  }
}
