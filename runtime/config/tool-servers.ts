/** `device.agents.mcp`: servers of outside tools that agents may use, after the Model Context Protocol. */
import * as v from 'valibot'
import { privacies } from '../wire/infer.ts'

const text = (charsMax: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(charsMax))

const shared = {
  /** How far away what is sent to it goes; absent: as its address says, of a program `device`. */
  reach: v.optional(v.picklist(privacies)),
  /** How far what it gives may travel. */
  privacy: v.optional(v.picklist(privacies), 'site'),
  /** For each call. */
  secondsMax: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(600)), 30),
  /** Whether a tool of which the server says that it changes nothing, or nothing more the second time, is used again after a crash. */
  trusted: v.optional(v.boolean(), false),
}

const program = v.strictObject({
  /** A program and its arguments: no shell reads them. */
  command: v.pipe(v.array(text(1024)), v.minLength(1), v.maxLength(64)),
  env: v.optional(
    v.pipe(
      v.record(
        v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/)),
        v.pipe(v.string(), v.maxLength(8192)),
      ),
      v.maxEntries(64, 'must be 64 at most'),
    ),
    {},
  ),
  ...shared,
})

const address = v.pipe(
  v.strictObject({
    url: v.pipe(
      text(2048),
      v.url('must be an address such as https://tools.example/mcp'),
      v.regex(/^https?:/i, 'must begin with http:// or https://'),
    ),
    /** A file that holds the bearer token. */
    tokenFile: v.optional(text(4096)),
    ...shared,
  }),
  v.check(
    (server) => server.tokenFile === undefined || isNear(reachOf(server)) || /^https:/i.test(server.url),
    'a token must not go over http:// to a server that is not of this site',
  ),
)

const name = v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,32}$/, 'is no name: use a to z, 0 to 9 and -'))

export const toolServersSchema = v.pipe(
  v.record(name, v.union([program, address], 'must have a command, or a url')),
  v.maxEntries(8, 'must be 8 at most'),
)
export type ToolServerConfig = v.InferOutput<typeof program> | v.InferOutput<typeof address>
export type ToolServersConfig = v.InferOutput<typeof toolServersSchema>

type Reach = (typeof privacies)[number]
const isNear = (reach: Reach) => reach !== 'cloud'

/** How far away what is sent to a server goes. A name that is not of this machine may be anywhere. */
export function reachOf(server: { readonly url?: string; readonly reach?: Reach | undefined }): Reach {
  if (server.reach) return server.reach
  if (server.url === undefined) return 'device'
  const host = new URL(server.url).hostname.replace(/^\[|\]$/g, '')
  if (host === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(host) || host === '::1') return 'device'
  return isOfSite(host) ? 'site' : 'cloud'
}

/** Private and link-local addresses (RFC 1918, RFC 3927, RFC 4193, RFC 4291), and names that only a home's network knows (RFC 6762, RFC 8375). */
function isOfSite(host: string): boolean {
  if (/^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.)[\d.]+$/.test(host)) return true
  return /^(f[cd]|fe[89ab])[0-9a-f]*:/i.test(host) || /\.(local|home\.arpa)$/i.test(host)
}
