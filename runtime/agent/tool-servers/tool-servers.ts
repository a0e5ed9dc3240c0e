/**
 * The servers of tools that this device's configuration names: what they offer to a thought, and the service that uses their tools for
 * agents. Invariants: README.md.
 */
import * as v from 'valibot'
import { DeadlineError, withDeadline } from '../../base/deadline.ts'
import type { ToolServersConfig } from '../../config/tool-servers.ts'
import { mayTravel, privacies } from '../../wire/infer.ts'
import type { Json } from '../contract.ts'
import { type Capability, covering, touching } from '../permissions/capability.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import { checkedService } from '../services/checked-service.ts'
import type { OutsideTools, Tool } from '../think/tools.ts'
import { turnLimits } from '../turn.ts'
import type { OfferedTool } from './offered.ts'
import { ToolServer, type ToolServerDeps } from './tool-server.ts'
import { ToolServerError } from './tool-server-error.ts'

/** In one thought: all of them are told to the model with each step. */
const toolsMax = 64
/** Of what a tool gave. */
const resultBytesMax = 64 * 1024
/** What servers of language models take for a tool's name. */
const chatNameCharsMax = 64

const record = v.custom<{ readonly [name: string]: Json }>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be an object',
)
const schema = v.object({
  server: v.string(),
  tool: v.string(),
  arguments: record,
  /** Of all that went into the arguments. */
  privacy: v.picklist(privacies),
  deadlineMs: v.optional(v.pipe(v.number(), v.finite())),
})

type Use = v.InferOutput<typeof schema>

const mcp = (pattern: string): Capability => ({ kind: 'mcp', pattern })

export class ToolServers implements OutsideTools, AsyncDisposable {
  readonly service: Service
  readonly #servers: ReadonlyMap<string, ToolServer>
  readonly #deps: ToolServerDeps

  constructor(deps: ToolServerDeps, config: ToolServersConfig) {
    this.#deps = deps
    this.#servers = new Map(
      Object.entries(config).map(([name, one]) => [name, new ToolServer(deps, name, one)]),
    )
    const work = async (args: Use, { resumed }: Performing, signal: AbortSignal) => {
      try {
        return await this.#use(args, resumed, signal)
      } catch (error) {
        if (error instanceof DeadlineError)
          return failed('timeout', 'tool: it did not answer in time: it may have been done')
        return notUsed(error)
      }
    }
    const missing = async (args: Use) => {
      try {
        return this.#refusal(args, this.#server(args.server))
      } catch (error) {
        return notUsed(error)
      }
    }
    this.service = checkedService('tool', schema, work, missing)
  }

  /** The tools that these patterns stand for. Throws ToolServerError; the signal's reason. */
  async tools(patterns: readonly string[], signal: AbortSignal): Promise<readonly Tool[]> {
    for (const pattern of patterns) if (!pattern.includes('*')) this.#server(pattern.split('/')[0] ?? '')
    const asked = [...this.#servers.values()].filter(({ name }) =>
      patterns.some((pattern) => touching(mcp(pattern), mcp(name))),
    )
    const lists = await Promise.all(
      asked.map(async (server) =>
        (await server.tools(signal))
          .filter(({ name }) =>
            patterns.some((pattern) => covering(mcp(pattern), mcp(`${server.name}/${name}`))),
          )
          .map((tool) => ({ server, tool })),
      ),
    )
    const found = lists.flat()
    const isOffered = (pattern: string) =>
      found.some(({ server, tool }) => covering(mcp(pattern), mcp(`${server.name}/${tool.name}`)))
    const missing = patterns.find((pattern) => /^[^*]+\/[^*]+$/.test(pattern) && !isOffered(pattern))
    if (missing !== undefined) {
      const [server, ...tool] = missing.split('/')
      throw new ToolServerError('not-found', `the tool server ${server} offers no ${tool.join('/')}`)
    }
    if (found.length > toolsMax)
      throw new ToolServerError(
        'bad-request',
        `${found.length} outside tools are more than ${toolsMax}: name those that are needed, as mcp:SERVER/TOOL`,
      )
    const names = new Set<string>()
    return found.map(({ server, tool }) => asTool(server, tool, names))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server[Symbol.asyncDispose]()))
  }

  #server(name: string): ToolServer {
    const server = this.#servers.get(name)
    if (server) return server
    throw new ToolServerError(
      'unavailable',
      `this device has no tool server ${name.slice(0, 40)}: device.agents.mcp names them`,
    )
  }

  /** Why it is not sent there, whatever people and the server say. */
  #refusal({ privacy, deadlineMs, arguments: given }: Use, server: ToolServer): Outcome | undefined {
    if (!mayTravel(privacy, server.reach))
      return failed(
        'refused',
        `tool: what was found out is labelled ${privacy}, and what is sent to the tool server ${server.name} goes to ${server.reach}`,
      )
    if (Buffer.byteLength(JSON.stringify(given)) > turnLimits.argsBytesMax)
      return failed('bad-request', `tool: the arguments are longer than ${turnLimits.argsBytesMax} bytes`)
    if (this.#leftMs(deadlineMs) <= 0) return failed('timeout', 'tool: its time was over before it began')
    return undefined
  }

  #leftMs(deadlineMs = Number.POSITIVE_INFINITY): number {
    return deadlineMs - this.#deps.clock.nowMs()
  }

  async #use(args: Use, resumed: boolean, signal: AbortSignal): Promise<Outcome> {
    const { tool, deadlineMs, arguments: given } = args
    const server = this.#server(args.server)
    const refused = this.#refusal(args, server)
    if (refused) return refused
    const { clock } = this.#deps
    const leftMs = this.#leftMs(deadlineMs)
    if (resumed && !(await server.isRepeatable(tool, signal)))
      return failed(
        'uncertain',
        `tool: it may have been done before this device stopped, and is not done twice`,
      )
    const work = (until: AbortSignal) => server.call(tool, given, until)
    const { value, isError } = Number.isFinite(leftMs)
      ? await withDeadline(clock, 'tool', leftMs, work, signal)
      : await work(signal)
    const shown = bounded(value)
    // What the server says of its failure is from outside as well: it is given, under its label.
    return { ok: true, value: isError ? { failed: shown } : shown, privacy: server.privacy }
  }
}

function notUsed(error: unknown): Outcome {
  if (error instanceof ToolServerError) return failed(error.code, `tool: ${error.message}`)
  throw error
}

function asTool(server: ToolServer, tool: OfferedTool, names: Set<string>): Tool {
  const { description, parameters } = tool
  return {
    ...{ name: chatName(`${server.name}__${tool.name}`, names), description, parameters },
    label: server.privacy,
    intend: (args, { privacy, deadlineMs }) => ({
      op: 'tool',
      args: { server: server.name, tool: tool.name, arguments: args, privacy, deadlineMs },
    }),
  }
}

/** A name that no other has. */
function chatName(text: string, names: Set<string>): string {
  const plain = text.replace(/[^A-Za-z0-9_-]/g, '_')
  for (let nth = 1; ; nth += 1) {
    const more = nth === 1 ? '' : `_${nth}`
    const name = `${plain.slice(0, chatNameCharsMax - more.length)}${more}`
    if (names.has(name)) continue
    names.add(name)
    return name
  }
}

function bounded(value: Json): Json {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const bytes = Buffer.from(text)
  if (bytes.byteLength <= resultBytesMax) return value
  return { begins: bytes.subarray(0, resultBytesMax).toString(), cut: true }
}
