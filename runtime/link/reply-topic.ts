/**
 * Which topics a caller may name in `replyTo`. The device publishes there with its own rights, so a caller must not be
 * able to make it command a thing, pose as a device's state, or reconfigure Home Assistant.
 */
export interface ReplyTopicRules {
  readonly base: string
  readonly discoveryPrefix: string
}

const commandLevels: ReadonlySet<string> = new Set(['set', 'rpc'])

/** Under our base only `<base>/<caller>/reply[/…]`; elsewhere anything without wildcards that commands nothing. */
export function isReplyTopic(topic: string, rules: ReplyTopicRules): boolean {
  if (topic.length === 0 || topic.startsWith('$') || /[+#\0]/.test(topic)) return false
  const levels = topic.split('/')
  if (levels.some((level) => commandLevels.has(level))) return false
  if (`${topic}/`.startsWith(`${rules.discoveryPrefix}/`)) return false
  if (!`${topic}/`.startsWith(`${rules.base}/`)) return true
  const [caller, kind] = topic.slice(rules.base.length + 1).split('/')
  return caller !== undefined && caller.length > 0 && kind === 'reply'
}
