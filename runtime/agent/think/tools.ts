/**
 * Tools that a model may use in a thought: those that the agent named, each a call that the agent itself could make. What a model
 * asks for becomes such a call or an error it can read; whether it may be done is decided where every call of an agent is.
 */
import * as v from 'valibot'
import type { Json, Privacy } from '../contract.ts'
import { parseCapability } from '../permissions/capability.ts'
import { covers } from '../permissions/pattern.ts'
import type { CallOp } from '../turn.ts'
import type { ChatTool } from './chat.ts'

type Args = { readonly [name: string]: Json }
/** A call to perform, or why what the model wrote is none. */
export type Intended = { readonly op: CallOp; readonly args: Args } | string

export interface Tool extends ChatTool {
  /** Label of what comes back where the service does not say: of telemetry, which is on the home's broker, `site`. */
  readonly label: Privacy
  /**
   * Whose words say why it failed. Absent: ours, of nobody's affairs. `home`: they may tell what things of the home report, and have its
   * label. `others`: anybody's, so the model is told the code alone.
   */
  readonly fails?: 'home' | 'others'
  intend(args: Args, context: ToolContext): Intended
}
export interface ToolContext {
  /** Of all that the model has seen: what it writes down is no freer. */
  readonly privacy: Privacy
  /** On the agent's clock, milliseconds since the Unix epoch. */
  readonly deadlineMs: number
}

/** Tools of others, by patterns of a server or of its tools. */
export interface OutsideTools {
  /** Throws CodedError with one of the codes of calls; the signal's reason. */
  tools(patterns: readonly string[], signal: AbortSignal): Promise<readonly Tool[]>
}

const text = (description: string) => ({ type: 'string', description })
const object = (properties: Args, required: readonly string[] = Object.keys(properties)) => ({
  ...{ type: 'object', properties, required, additionalProperties: false },
})

/** The tools that these names stand for, and patterns of those that others offer; in one line why one stands for none. */
export function toolsOf(
  names: readonly string[],
): { readonly tools: readonly Tool[]; readonly outside: readonly string[] } | string {
  const patterns: { read: string[]; command: string[] } = { read: [], command: [] }
  const agents: string[] = []
  const outside: string[] = []
  let remembers = false
  for (const name of names) {
    const capability = parseCapability(name)
    if (typeof capability === 'string') return capability
    const { kind, pattern } = capability
    if (kind === 'read' || kind === 'command') patterns[kind].push(pattern)
    else if (kind === 'agent' && !pattern.includes('*')) agents.push(pattern)
    else if (kind === 'memory') remembers = true
    else if (kind === 'mcp') outside.push(pattern)
    else return `${name} is no tool: name light.*:read, light.*:command, memory, agent:NAME or mcp:SERVER`
  }
  const tools = [
    ...(patterns.read.length > 0 ? readTools(patterns.read) : []),
    ...(patterns.command.length > 0 ? [commandTool(patterns.command)] : []),
    ...(remembers ? memoryTools : []),
    ...(agents.length > 0 ? [callTool(agents)] : []),
  ]
  return { tools, outside }
}

/** Checks what a model gave a tool; `act` sees only what is as the schema says. */
function tool<T>(
  chat: ChatTool & Pick<Tool, 'label' | 'fails'>,
  schema: v.GenericSchema<unknown, T>,
  act: (args: T, context: ToolContext) => Intended,
): Tool {
  return {
    ...chat,
    intend(args, context) {
      const parsed = v.safeParse(schema, args)
      if (parsed.success) return act(parsed.output, context)
      const [issue] = parsed.issues
      return `${v.getDotPath(issue) ?? 'the arguments'}: ${issue.message}`
    },
  }
}

const entity = v.pipe(v.string(), v.minLength(1), v.maxLength(128))

/** Names entities with what the agent gave the model; the agent's own grants are checked after this. */
const outside = (patterns: readonly string[], id: string) =>
  patterns.some((pattern) => covers(pattern, id)) ? undefined : `${id} is none of ${patterns.join(', ')}`

function readTools(patterns: readonly string[]): Tool[] {
  const which = patterns.join(', ')
  return [
    tool(
      {
        name: 'list_entities',
        description: `Ids of the things of the home that fit a pattern. You may see: ${which}`,
        parameters: object({ pattern: text('an id, * for any characters but a dot: light.*') }),
        label: 'site',
        fails: 'home',
      },
      v.object({ pattern: entity }),
      ({ pattern }) => outside(patterns, pattern) ?? { op: 'entities', args: { pattern } },
    ),
    tool(
      {
        name: 'read_entity',
        description: `What a thing of the home last reported. You may see: ${which}`,
        parameters: object({ entity: text('its id') }),
        label: 'site',
        fails: 'home',
      },
      v.object({ entity }),
      ({ entity: id }) => outside(patterns, id) ?? { op: 'read', args: { entity: id } },
    ),
  ]
}

function commandTool(patterns: readonly string[]): Tool {
  return tool(
    {
      name: 'command_entity',
      description: `Commands a thing of the home; says what it then reports. You may command: ${patterns.join(', ')}`,
      parameters: object({
        entity: text('its id'),
        command: { type: 'object', description: 'fields and values: {"state": "on"}' },
      }),
      label: 'site',
      fails: 'home',
    },
    v.object({
      entity,
      command: v.record(
        v.string(),
        v.custom<Json>((value) => value !== undefined),
      ),
    }),
    ({ entity: id, command }) => outside(patterns, id) ?? { op: 'command', args: { entity: id, command } },
  )
}

const memoryTools: readonly Tool[] = [
  tool(
    {
      name: 'search_memory',
      description: 'What was noted before that fits a text.',
      parameters: object({ text: text('what to look for') }),
      label: 'device',
    },
    v.object({ text: entity }),
    ({ text: sought }) => ({ op: 'memory.search', args: { text: sought } }),
  ),
  tool(
    {
      name: 'note',
      description: 'Notes something to be found later.',
      parameters: object(
        { text: text('one or two sentences'), about: text('the person it is about, if any') },
        ['text'],
      ),
      label: 'site',
    },
    v.object({ text: v.pipe(v.string(), v.minLength(1)), about: v.optional(v.string()) }),
    ({ text: noted, about }, { privacy }) => ({
      op: 'memory.note',
      args: { text: noted, privacy, ...(about ? { about } : {}) },
    }),
  ),
]

function callTool(agents: readonly string[]): Tool {
  return tool(
    {
      name: 'call_agent',
      description: `Asks another agent of the home and waits for its answer: ${agents.join(', ')}`,
      parameters: object({ agent: { type: 'string', enum: agents }, message: text('what to ask') }),
      label: 'device',
      fails: 'others',
    },
    v.object({ agent: v.string(), message: v.string() }),
    ({ agent, message }, { deadlineMs }) =>
      agents.includes(agent)
        ? { op: 'call', args: { agent, message, deadlineMs } }
        : `${agent} is none of ${agents.join(', ')}`,
  )
}
