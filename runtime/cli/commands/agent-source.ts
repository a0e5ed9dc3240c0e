/** `ganglion agent init|check` and what `run` shares with them: an agent's files on this machine, and what they ask for. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Content, contentOf } from '../../agent/bundle/bundle.ts'
import { agentDeclarations } from '../../agent/bundle/declarations.ts'
import { isAgentName } from '../../agent/bundle/manifest.ts'
import { plainWords } from '../../agent/bundle/plain-words.ts'
import { programOfFile } from '../../agent/bundle/program-of-file.ts'
import type { Want } from '../../agent/contract.ts'
import { type Grant, grantsOfWants } from '../../agent/permissions/grant.ts'
import { grantedBy, type Policy } from '../../agent/permissions/policy.ts'
import { MachinePool, type Program } from '../../agent/vm/machine-pool.ts'
import { shippedAgents } from '../../agents/index.ts'
import { realClock } from '../../base/clock.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import { readPolicy } from '../../config/policy.ts'
import type { Context } from '../context.ts'
import { megabytes, type Terminal } from '../terminal.ts'

const declarationsFile = 'ganglion.d.ts'
const configFile = 'tsconfig.json'

/** Writes a folder with an agent to begin from; what is there already is left, but for the declarations. */
export async function agentInit(path: string, { terminal }: Context): Promise<number> {
  const folder = resolve(path)
  const name = basename(folder)
  if (!isAgentName(name))
    throw new UsageError(
      `${name} cannot be the name of an agent: a-z, 0-9 and - between them, at most 64 characters`,
    )
  const files: Readonly<Record<string, string>> = {
    [`${name}.ts`]: firstAgent(name),
    [declarationsFile]: agentDeclarations(),
    [configFile]: typeScriptConfig,
  }
  try {
    mkdirSync(folder, { recursive: true })
    const hasAgent = agentsIn(folder).length > 0
    const written = Object.entries(files).filter(([file]) => {
      const exists = file === `${name}.ts` ? hasAgent : existsSync(join(folder, file))
      return file === declarationsFile || !exists
    })
    for (const [file, text] of written) writeFileSync(join(folder, file), text)
    const names = written.map(([file]) => file)
    if (terminal.json) terminal.out(JSON.stringify({ folder, written: names }))
    else terminal.out(`${terminal.style('green', '✓')} ${path}: ${names.join(', ')}`)
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${messageOf(error)}`, { cause: error })
  }
  terminal.note(terminal.style('dim', `next: ganglion agent check ${path}, then ganglion agent run ${path}`))
  return 0
}

/** Says what an agent would be let do, and runs nothing of it. */
export async function agentCheck(
  path: string,
  { policy }: { readonly policy?: string },
  { terminal }: Context,
): Promise<number> {
  const granting = policy === undefined ? undefined : readPolicy(policy)
  const content = await readAgent(path)
  const { manifest, hash, text } = content
  const wants = wishes(content)
  if (terminal.json) {
    terminal.out(
      JSON.stringify({
        ok: true,
        ...manifest,
        program: hash,
        bytes: Buffer.byteLength(text),
        asks: wants.map(({ words }) => words),
        ...(granting && { policy: policySays(content, granting) }),
      }),
    )
    return 0
  }
  for (const line of introduction(content, terminal)) terminal.out(line)
  if (granting) {
    const { grants, left } = policySays(content, granting)
    const list = (title: string, words: readonly string[]) =>
      words.length > 0 && terminal.out([title, ...words.map((one) => `  - ${one}`)].join('\n'))
    list('The policy lets it', grants)
    list('and not, or not all of it', left)
  }
  const files = Object.keys(content.program.modules).length
  terminal.note(
    terminal.style(
      'dim',
      `${files === 1 ? '1 file' : `${files} files`}, ${megabytes(Buffer.byteLength(text))}, program ${hash.slice(0, 16)}`,
    ),
  )
  return 0
}

/** In plain words: what a device with that policy would grant, and what a person would have to. */
function policySays({ manifest: { wants = [] } }: Content, policy: Policy) {
  const { granted, left } = grantedBy(policy, grantsOfWants(wants))
  return { grants: granted.map(plainWords), left: left.map(plainWords) }
}

/** The agents that come with the device: no device is asked, and none of them runs by itself. */
export async function agentsShipped({ terminal }: Context): Promise<number> {
  const agents = shippedAgents.map(({ definition: { name, says } }) => ({ name, says }))
  const width = Math.max(...agents.map(({ name }) => name.length))
  if (terminal.json) terminal.out(JSON.stringify({ agents }))
  else for (const { name, says } of agents) terminal.out(`${name.padEnd(width)}  ${says}`)
  terminal.note(
    terminal.style('dim', 'ganglion agent check NAME says what one wants, ganglion agent run NAME starts it'),
  )
  return 0
}

/** `as`: another name than the file gives it. Throws UsageError, BundleError: one line that names the place. */
export async function readAgent(path: string, as?: string): Promise<Content> {
  if (as !== undefined && !isAgentName(as))
    throw new UsageError(
      `--as ${as}: cannot be the name of an agent: a-z, 0-9 and - between them, at most 64 characters`,
    )
  const written = programOfFile(fileOf(path))
  const program = as === undefined ? written : renamed(written, as)
  await using pool = new MachinePool({ clock: realClock, log: silentLog }, { threadsMax: 1 })
  return await contentOf(pool, program)
}

/** Of one name there is one agent in a home: several that run the same program each get their own. */
function renamed({ entry, modules }: Program, name: string): Program {
  const front = `./as-${name}.ts`
  const text = `import definition from '${entry}'\nexport default { ...definition, name: '${name}' }\n`
  return { entry: front, modules: { ...modules, [front]: text } }
}

/** The file, the one agent in a folder, or where there is neither the shipped agent of that name. Throws UsageError. */
function fileOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  const shipped = shippedAgents.find(({ definition }) => definition.name === path)
  if (!found && shipped) return fileURLToPath(shipped.file)
  if (!found)
    throw new UsageError(
      `there is no ${path}, nor a shipped agent of that name ("ganglion agent list --shipped"); "ganglion agent init NAME" writes one to begin from`,
    )
  if (!found.isDirectory()) {
    if (/\.[jt]s$/.test(path)) return resolve(path)
    throw new UsageError(`${path} is no agent: it is written in a file that ends in .ts`)
  }
  const own = `${basename(resolve(path))}.ts`
  const files = agentsIn(path)
  const [only, ...others] = files.includes(own) ? [own] : files
  if (only === undefined) throw new UsageError(`${path} holds no .ts file`)
  if (others.length > 0)
    throw new UsageError(`${path} holds several files, name the agent's: ${files.join(', ')}`)
  return resolve(path, only)
}

const agentsIn = (folder: string) =>
  readdirSync(folder).filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))

/** Each thing it wants, in plain words, with its own reason. */
function wishes({ manifest: { wants = [] } }: Content): { words: string; why: string | undefined }[] {
  const grants = grantsOfWants(wants)
  return wants.map((want: Want, at) => ({
    words: plainWords(grants[at] as Grant),
    why: typeof want === 'string' ? undefined : want.why,
  }))
}

/** What a person reads before anything runs. */
export function introduction(content: Content, { style }: Pick<Terminal, 'style'>): string[] {
  const { name, says, priority } = content.manifest
  const wants = wishes(content)
  const head = `${style('bold', name)}${says === undefined ? '' : `: ${says}`}`
  const soon =
    priority === 'control'
      ? [
          'It asks to be served before people and all other agents: "all" does not give that, what does is',
          `  ganglion agent grant ${name} --allow priority:control`,
        ]
      : []
  if (wants.length === 0) return [head, '  wants nothing of this home: it can wait, compute and log', ...soon]
  const lines = wants.map(
    ({ words, why }) => `  - ${words}${why === undefined ? '' : style('dim', `, because “${why}”`)}`,
  )
  return [head, 'It wants to', ...lines, 'and may do nothing else.', ...soon]
}

/** Throws UsageError. */
export function grantsIn(file: string, option: '--grant' | '--set'): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const instead =
      option === '--grant' ? 'write "all", or a file with what it may do' : 'write a file with it'
    throw new UsageError(`${option} ${file}: ${messageOf(error)}; ${instead}`, { cause: error })
  }
}

const firstAgent = (name: string) => `/** What it is for, in a line. */
import { agent } from 'ganglion'

export default agent({
  name: '${name}',
  says: 'turns the lights on where something moves, and off five minutes later',
  wants: ['light.*:command', 'light.*:read', 'binary_sensor.*_motion:read'],
  async run(ctx) {
    for await (const seen of ctx.on('binary_sensor.*_motion', { to: 'on' })) {
      const lights = await ctx.entities(\`light.\${seen.area}*\`)
      for (const light of lights) await ctx.entity(light).command({ state: 'on' }) // waits for proof
      await ctx.sleep('5m') // survives a power cut and an update
      for (const light of lights) await ctx.entity(light).command({ state: 'off' })
    }
  },
})
`

/** As the machine is: modules, no DOM, no Node; only what can be had by leaving types out. */
const typeScriptConfig = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'es2023',
      lib: ['es2023'],
      module: 'esnext',
      moduleResolution: 'bundler',
      types: [],
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      erasableSyntaxOnly: true,
      verbatimModuleSyntax: true,
    },
    include: ['**/*.ts'],
  },
  null,
  2,
)}\n`
