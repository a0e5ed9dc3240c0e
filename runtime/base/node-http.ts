/**
 * Node's HTTP client, loaded when it is first asked for: TLS alone is 5 MB that most devices never use. Not by `import`, not even of one
 * name: that reads everything `node:http` offers, its WebSocket too, and with that comes all that `fetch` is made of, 9 MB.
 */
export function httpOf({ protocol }: URL) {
  return process.getBuiltinModule(protocol === 'https:' ? 'node:https' : 'node:http')
}
