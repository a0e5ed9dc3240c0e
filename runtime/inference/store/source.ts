/**
 * Where a model file comes from: `npm:package@version#path`, `https:`, or `file:`. `http:` only on this machine
 * (loopback): weights are code, and only their digest would stand between a stranger's network and the engine.
 */
export type Source =
  | { readonly kind: 'npm'; readonly spec: string; readonly path: string }
  | { readonly kind: 'http'; readonly url: URL }
  | { readonly kind: 'file'; readonly url: URL }

// One exact version of one package; npm's own name rules, and nothing that npm could take for an option.
const npmPattern =
  /^npm:((?:@[a-z0-9~][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*@[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*)#([^#]+)$/

/** Undefined when `text` is no source that may be used. */
export function parseSource(text: string): Source | undefined {
  const npm = npmPattern.exec(text)
  if (npm?.[1] && npm[2]) return { kind: 'npm', spec: npm[1], path: npm[2] }
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.protocol === 'file:') return url.host === '' ? { kind: 'file', url } : undefined
  return isFetchable(url) ? { kind: 'http', url } : undefined
}

/** True for https, and for http to this machine. */
export function isFetchable(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}
