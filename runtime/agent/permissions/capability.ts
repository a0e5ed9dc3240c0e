/**
 * Capabilities: their text, what a call needs, and how that is said to a person.
 *
 *     <pattern>:read  <pattern>:command  infer:<model>  board:<pattern>  decide:<pattern>  agent:<name>  mcp:<server>
 *     mcp:<server>/<tool>  think  memory  ask  priority:control
 */
import type { Json } from '../contract.ts'
import { hostName } from '../service.ts'
import type { Call, CallOp } from '../turn.ts'
import { covers, overlaps, patternLimits } from './pattern.ts'

const entityKinds = ['read', 'command'] as const
const namedKinds = ['infer', 'board', 'decide', 'agent', 'mcp', 'priority'] as const
const plainKinds = ['think', 'memory', 'ask'] as const
export type CapabilityKind =
  | (typeof entityKinds)[number]
  | (typeof namedKinds)[number]
  | (typeof plainKinds)[number]

export interface Capability {
  readonly kind: CapabilityKind
  /** Empty where the kind has none. */
  readonly pattern: string
}

/** `@`: of another device of the site. */
const entityPattern = /^[a-z0-9_*-]+(\.[a-z0-9_*-]+)+(@[a-z0-9_*.-]+)?$/i
const agentElsewhere = /^[a-z0-9*-]+@[a-z0-9_.*-]+$/i
const namePattern = /^[a-z0-9_*./-]+$/i

/** The capability, or in one line what is wrong with the text. */
export function parseCapability(text: string): Capability | string {
  const shown = JSON.stringify(text.slice(0, 80))
  if (text.length > patternLimits.charsMax || text.split('*').length - 1 > patternLimits.starsMax)
    return `${shown} is longer than ${patternLimits.charsMax} characters or has more than ${patternLimits.starsMax} stars`
  const plain = plainKinds.find((kind) => kind === text)
  if (plain) return { kind: plain, pattern: '' }
  const colon = text.indexOf(':')
  const [before, after] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  const named = namedKinds.find((kind) => kind === before)
  if (named === 'priority' && after !== 'control') return `${shown}: what is asked for is priority:control`
  if (named === 'agent' && agentElsewhere.test(after)) return { kind: named, pattern: after }
  if (named) return namePattern.test(after) ? { kind: named, pattern: after } : `${shown} names no ${named}`
  const entity = entityKinds.find((kind) => kind === after)
  if (entity && entityPattern.test(before)) return { kind: entity, pattern: before }
  if (entity) return `${shown} names no entities: write light.kitchen:${entity} or light.*:${entity}`
  return `${shown} is no capability: write light.*:command, light.*:read, infer:MODEL, think, memory, board:KEY, decide:SUBJECT, agent:NAME, mcp:SERVER or ask`
}

export function printCapability({ kind, pattern }: Capability): string {
  if (kind === 'read' || kind === 'command') return `${pattern}:${kind}`
  return pattern === '' ? kind : `${kind}:${pattern}`
}

/** Whether all that `narrow` stands for is what `wide` stands for. A tool server stands for all its tools. */
export function covering(wide: Capability, narrow: Capability): boolean {
  return wide.kind === narrow.kind && covers(wide.pattern, comparedWith(wide, narrow))
}

/** Whether something is what both stand for. */
export function touching(one: Capability, other: Capability): boolean {
  return one.kind === other.kind && overlaps(comparedWith(other, one), comparedWith(one, other))
}

/** Of a tool, its server, where the other names a server alone. */
function comparedWith(other: Capability, { kind, pattern }: Capability): string {
  return kind === 'mcp' && !other.pattern.includes('/') ? (pattern.split('/')[0] ?? '') : pattern
}

/** What a call must be allowed. */
export interface Need {
  readonly capability: Capability
  /** One grant of that kind is enough, whatever its pattern: what the call gives back is cut to what is granted. */
  readonly any?: true
}

type NeedOf = { readonly kind: CapabilityKind; readonly arg?: string; readonly any?: true } | 'free'

/** A table by op, so that a new op does not compile before somebody has said what it needs. */
const needByOp: Readonly<Record<CallOp, NeedOf>> = {
  sleep: 'free',
  cron: 'free',
  calls: 'free',
  // Whoever asked was allowed to.
  reply: 'free',
  // Gives back what was allowed.
  release: 'free',
  on: { kind: 'read', arg: 'pattern' },
  entities: { kind: 'read', arg: 'pattern', any: true },
  read: { kind: 'read', arg: 'entity' },
  until: { kind: 'read', arg: 'entity' },
  command: { kind: 'command', arg: 'entity' },
  infer: { kind: 'infer', arg: 'model' },
  think: { kind: 'think' },
  tool: { kind: 'mcp', arg: 'server' },
  ask: { kind: 'ask' },
  call: { kind: 'agent', arg: 'agent' },
  'memory.get': { kind: 'memory' },
  'memory.set': { kind: 'memory' },
  'memory.delete': { kind: 'memory' },
  'memory.keys': { kind: 'memory' },
  'memory.note': { kind: 'memory' },
  'memory.search': { kind: 'memory' },
  'memory.forget': { kind: 'memory' },
  'board.get': { kind: 'board', arg: 'key' },
  'board.set': { kind: 'board', arg: 'key' },
  'board.delete': { kind: 'board', arg: 'key' },
  'board.watch': { kind: 'board', arg: 'pattern' },
  'decide.auction': { kind: 'decide', arg: 'subject' },
  'decide.contract-net': { kind: 'decide', arg: 'subject' },
  'decide.vote': { kind: 'decide', arg: 'subject' },
  'decide.agree': { kind: 'decide', arg: 'subject' },
  lease: { kind: 'decide', arg: 'name' },
}

const toolsMax = 64
/** Stars would stand for more than is asked for. */
const toolPattern = /^[a-z0-9-]+\/[a-z0-9_./-]+$/i

/** `weather/forecast`; nothing that a grant covers where it names no tool. */
function toolOf(server: Json | undefined, tool: Json | undefined): string {
  const text = `${server}/${tool}`
  return typeof server === 'string' && typeof tool === 'string' && toolPattern.test(text) ? text : ''
}

/**
 * All that a call needs, the first being what its limits are of; nothing for what anybody may. In one line what is wrong where
 * the call does not say what it is about.
 */
export function needsOf({ op, args }: Pick<Call, 'op' | 'args'>): readonly Need[] | string {
  const need = Object.hasOwn(needByOp, op) ? needByOp[op] : undefined
  if (!need) return `there is no ${String(op).slice(0, 40)}`
  if (need === 'free') return []
  const { kind, arg, any } = need
  const named = arg === undefined ? '' : args[arg]
  const pattern = op === 'tool' ? toolOf(named, args['tool']) : named
  if (typeof pattern !== 'string' || (arg !== undefined && pattern === ''))
    return `${op} names no ${arg}: it must be a text`
  if (pattern.length > patternLimits.charsMax)
    return `the ${arg} of ${op} is longer than ${patternLimits.charsMax} characters`
  const first: Need = { capability: { kind, pattern }, ...(any ? { any } : {}) }
  if (op !== 'think') return [first]
  const tools = toolsOf(args['tools'])
  return typeof tools === 'string' ? tools : [first, ...tools]
}

/** What a model may use, the agent itself must be allowed. */
function toolsOf(tools: Json | undefined): readonly Need[] | string {
  if (tools === undefined) return []
  if (!Array.isArray(tools) || tools.length > toolsMax) return `tools must be a list of ${toolsMax} at most`
  const needs: Need[] = []
  for (const tool of tools) {
    const capability = typeof tool === 'string' ? parseCapability(tool) : 'a tool must be a text'
    if (typeof capability === 'string') return capability
    needs.push({ capability })
  }
  return needs
}

/** What may be done with it, in plain words: `command every light`. */
export function describeCapability({ kind, pattern }: Capability): string {
  if (kind === 'think') return 'have a language model think'
  if (kind === 'memory') return 'keep and search memories of its own'
  if (kind === 'ask') return 'ask the people of the home'
  if (kind === 'priority') return 'be served before people and all other agents'
  if (kind === 'read') return `see ${entitiesInWords(pattern)}`
  if (kind === 'command') return `command ${entitiesInWords(pattern)}`
  const named = pattern.includes('*') ? `called ${pattern}` : pattern
  if (kind === 'infer') return pattern.includes('*') ? `run models ${named}` : `run the model ${named}`
  if (kind === 'board') return `read and write what devices share under ${pattern}`
  if (kind === 'decide') return `decide together with other devices about ${pattern}`
  if (kind === 'agent' && pattern.includes('@')) {
    const [name, device = ''] = pattern.split('@')
    return `${describeCapability({ kind, pattern: name ?? '' })} ${devicesInWords(device)}`
  }
  if (kind === 'agent' && pattern === hostName)
    return 'be told what is said to it, and what that means in this home'
  if (kind === 'agent') return pattern.includes('*') ? `call agents ${named}` : `call the agent ${named}`
  const [server = '', ...tool] = pattern.split('/')
  const where = server.includes('*') ? `servers called ${server}` : server
  return tool.length > 0
    ? `use the outside tool ${tool.join('/')} of ${where}`
    : `use every outside tool of ${where}`
}

function entitiesInWords(pattern: string): string {
  const [things = '', device] = pattern.split('@')
  if (device !== undefined) return `${entitiesInWords(things)} ${devicesInWords(device)}`
  if (!pattern.includes('*')) return pattern
  const [domain = '', ...rest] = pattern.split('.')
  if (rest.join('.') !== '*') return `everything called ${pattern}`
  return domain === '*' ? 'everything in the home' : `every ${domain.replaceAll('_', ' ')}`
}

/** `of the device hub`: what stands behind the `@`. */
export function devicesInWords(device: string): string {
  if (device === '*') return 'of every device of the site'
  return device.includes('*') ? `of devices called ${device}` : `of the device ${device}`
}
