/** Which clients' filters match a topic: a tree by topic level, so that a publish does not look at every subscription. */

interface Node {
  readonly children: Map<string, Node>
  /** Client id to quality of service, for filters that end here. */
  readonly clients: Map<string, number>
}

const newNode = (): Node => ({ children: new Map(), clients: new Map() })

export class SubscriptionTrie {
  readonly #root = newNode()

  set(filter: string, clientId: string, qos: number): void {
    let node = this.#root
    for (const level of filter.split('/')) {
      const next = node.children.get(level) ?? newNode()
      node.children.set(level, next)
      node = next
    }
    node.clients.set(clientId, qos)
  }

  delete(filter: string, clientId: string): void {
    const path: [Node, string][] = []
    let node = this.#root
    for (const level of filter.split('/')) {
      const next = node.children.get(level)
      if (!next) return
      path.push([node, level])
      node = next
    }
    node.clients.delete(clientId)
    for (const [parent, level] of path.reverse()) {
      const child = parent.children.get(level)
      if (child && child.clients.size === 0 && child.children.size === 0) parent.children.delete(level)
    }
  }

  /** Each client once, with the highest quality of service of its matching filters. */
  match(topic: string): Map<string, number> {
    const found = new Map<string, number>()
    const collect = (node: Node | undefined) => {
      for (const [client, qos] of node?.clients ?? [])
        found.set(client, Math.max(qos, found.get(client) ?? 0))
    }
    const levels = topic.split('/')
    const walk = (node: Node, at: number) => {
      // Section 4.7.2: wildcards do not match a first level that starts with $.
      const wildcards = at > 0 || !topic.startsWith('$')
      if (wildcards) collect(node.children.get('#'))
      const level = levels[at]
      if (level === undefined) return collect(node)
      for (const key of wildcards ? [level, '+'] : [level]) {
        const next = node.children.get(key)
        if (next) walk(next, at + 1)
      }
    }
    walk(this.#root, 0)
    return found
  }
}
