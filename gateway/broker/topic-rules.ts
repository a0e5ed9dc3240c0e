/**
 * Which topics are allowed, and which filter matches which topic (MQTT 3.1.1, sections 1.5.3 and 4.7). A broken rule
 * is a protocol violation: the connection is closed.
 */

export interface TopicBounds {
  readonly topicBytesMax: number
  readonly topicLevelsMax: number
}

/** Why text off the wire is refused. The parser turns invalid UTF-8 into U+FFFD, so that character stands for it. */
export function textFault(text: string): string | undefined {
  if (text.includes('\u0000')) return 'contains the null character'
  if (text.includes('\uFFFD')) return 'is not UTF-8'
  return undefined
}

function boundsFault(topic: string, bounds: TopicBounds): string | undefined {
  if (topic === '') return 'is empty'
  if (Buffer.byteLength(topic) > bounds.topicBytesMax) return `has more than ${bounds.topicBytesMax} bytes`
  if (topic.split('/').length > bounds.topicLevelsMax) return `has more than ${bounds.topicLevelsMax} levels`
  return textFault(topic)
}

/** Why a message must not be published on `topic`; undefined when it may. */
export function topicNameFault(topic: string, bounds: TopicBounds): string | undefined {
  const fault = boundsFault(topic, bounds)
  if (fault) return fault
  if (/[+#]/.test(topic)) return 'contains a wildcard'
  if (topic.startsWith('$')) return 'is reserved for the broker'
  return undefined
}

/** Why `filter` is not a topic filter; undefined when it is one. */
export function topicFilterFault(filter: string, bounds: TopicBounds): string | undefined {
  const fault = boundsFault(filter, bounds)
  if (fault) return fault
  const levels = filter.split('/')
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) return 'has # before its end'
    if (level.includes('+') && level !== '+') return 'has + beside other characters'
  }
  return undefined
}

/** Whether a valid filter matches a topic. Wildcards never match a first level that starts with `$`. */
export function topicMatches(filter: string, topic: string): boolean {
  if (filter === topic) return true
  if (topic.startsWith('$') && !filter.startsWith('$')) return false
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [index, want] of wanted.entries()) {
    if (want === '#') return true
    if (index >= levels.length || (want !== '+' && want !== levels[index])) return false
  }
  return wanted.length === levels.length
}
