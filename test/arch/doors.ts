/**
 * The doors of ARCHITECTURE.md as dependency-cruiser rules: who may import what. Closed unless opened here.
 * `test/arch/doors.test.ts` plants a violation of every rule; a rule without one fails there.
 */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { cruise, type IRegularForbiddenRuleType, type IViolation } from 'dependency-cruiser'

const shipped = '^(boards|hal|runtime|gateway)/'
const compositionRoots = '^runtime/(main\\.ts|inference/engine/main\\.ts)$'
const dashboard = '^gateway/dashboard/'
/** Numbers and one formula, without imports: the page shares them rather than repeat them. */
const browserSafe = '^runtime/(wire/limits|base/retry)\\.ts$'
/** Configuration of a build tool beside what it builds; it never ships. */
const buildConfig = '^gateway/dashboard/vite\\.config\\.ts$'

/** Which folders may import which third-party package, types included. Any other package: nobody. */
export const fences: Readonly<Record<string, readonly string[]>> = {
  'onnxruntime-node': ['^runtime/inference/engine/'],
  'llama-tokenizer-js': ['^runtime/inference/engine/'],
  mqtt: ['^runtime/link/', '^gateway/broker-client\\.ts$'],
  aedes: ['^gateway/broker/'],
  systeminformation: ['^hal/linux/'],
  koffi: ['^hal/linux/'],
  fastify: ['^gateway/api/'],
  '@fastify/static': ['^gateway/api/'],
  'cbor-x': ['^runtime/wire/'],
  'quickjs-wasi': ['^runtime/agent/vm/'],
  '@modelcontextprotocol/client': ['^runtime/agent/tool-servers/'],
  'node-cron': ['^runtime/agent/services/'],
  'lru-cache': ['^gateway/offload/'],
  commander: ['^runtime/cli/', '^gateway/main\\.ts$'],
  yaml: [
    '^hal/sim/',
    '^runtime/config/',
    '^runtime/base/',
    '^runtime/assistant/',
    '^gateway/(config|main)\\.ts$',
  ],
  valibot: ['^runtime/(?!base/)', '^gateway/(?!dashboard/)'],
  preact: [dashboard],
  '@preact/signals': [dashboard],
  uplot: [dashboard],
}

const packagePath = (name: string) => `(^|node_modules/)${name}(/|$)`
const thirdParty = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown', 'npm-bundled']

type Rule = IRegularForbiddenRuleType
const rule = (name: string, comment: string, from: Rule['from'], to: Rule['to']): Rule => ({
  name,
  comment,
  severity: 'error',
  from,
  to,
})
const valueOnly = { dependencyTypesNot: ['type-only'] } satisfies Rule['to']

const roomRules: Rule[] = [
  rule(
    'hal-imports-only-hal',
    'What the HAL needs from its host it declares in hal/contract/host.ts.',
    { path: '^hal/' },
    { path: '^(boards|runtime|gateway)/' },
  ),
  rule(
    'boards-import-only-contract-types',
    'A board is data in the shape of hal/contract, some of it shared by a family; only the list imports the boards.',
    { path: '^boards/', pathNot: '^boards/index\\.ts$' },
    { path: shipped, pathNot: '^(hal/contract|boards/families)/' },
  ),
  rule(
    'board-list-imports-only-boards',
    'The list of boards names boards and the contract, nothing else.',
    { path: '^boards/index\\.ts$' },
    { path: shipped, pathNot: '^(boards|hal/contract)/' },
  ),
  rule(
    'boards-take-no-contract-values',
    'Boards use the types of hal/contract.',
    { path: '^boards/' },
    {
      path: '^hal/contract/',
      ...valueOnly,
    },
  ),
  rule(
    'base-imports-nothing',
    'runtime/base is the leaf.',
    { path: '^runtime/base/' },
    { path: shipped, pathNot: '^runtime/base/' },
  ),
  rule(
    'wire-imports-only-base',
    'The wire is the contract with other machines: it drags nothing along.',
    { path: '^runtime/wire/' },
    { path: shipped, pathNot: '^runtime/(wire|base)/' },
  ),
  rule(
    'agents-import-only-their-contract',
    'A built-in agent is written as anybody else would write one: of its contract, and of files beside it that are no agents.',
    { path: '^runtime/agents/', pathNot: '^runtime/agents/index\\.ts$' },
    {
      path: shipped,
      pathNot: ['^runtime/agent/contract\\.ts$', '^runtime/agents/(?!index\\.ts$)[^/.]+\\.ts$'],
    },
  ),
  rule(
    'agent-list-imports-only-agents',
    'The list of agents names agents and their contract, nothing else.',
    { path: '^runtime/agents/index\\.ts$' },
    { path: shipped, pathNot: '^runtime/(agents/|agent/contract\\.ts$)' },
  ),
  rule(
    'runtime-sees-only-the-hal-contract',
    'Hardware reaches the runtime through the composition roots.',
    { path: '^runtime/', pathNot: compositionRoots },
    { path: '^(hal|boards)/', pathNot: '^hal/contract/' },
  ),
  rule(
    'runtime-takes-no-contract-values',
    'The runtime uses the types of hal/contract.',
    { path: '^runtime/' },
    {
      path: '^hal/contract/',
      ...valueOnly,
    },
  ),
  rule(
    'composition-roots-open-two-doors',
    'They take the HAL and the boards by their lists.',
    { path: compositionRoots },
    { path: '^(hal|boards)/', pathNot: '^(hal/index\\.ts$|boards/index\\.ts$|hal/contract/)' },
  ),
  rule(
    'runtime-imports-no-gateway',
    'A device works without one.',
    { path: '^runtime/' },
    { path: '^gateway/' },
  ),
  rule(
    'gateway-sees-wire-base-engine',
    'The gateway speaks the wire, keeps and runs the same models in the same engine, hides in texts what a device hides, hears recordings as it does, and knows no device from inside.',
    { path: '^gateway/', pathNot: dashboard },
    {
      path: '^(boards|hal|runtime)/',
      pathNot:
        '^runtime/((wire|base|inference/(engine|supervisor|store|models|redaction)|perception/hearing)/|inference/inference\\.ts$)',
    },
  ),
  rule(
    'dashboard-sees-only-itself-and-wire',
    'The page runs in a browser.',
    { path: dashboard },
    { path: shipped, pathNot: [dashboard, '^runtime/wire/', browserSafe] },
  ),
  rule(
    'dashboard-takes-no-wire-values',
    'The page uses the types of the wire: its schemas would bring their library along.',
    { path: dashboard },
    { path: '^runtime/wire/', pathNot: browserSafe, ...valueOnly },
  ),
  rule(
    'shipped-code-imports-no-tests',
    'What ships does not need what checks it.',
    { path: shipped },
    {
      path: '^(test|scripts)/',
    },
  ),
]

const packageRules: Rule[] = [
  ...Object.entries(fences).map(([name, allowed]) =>
    rule(
      `fence-${name}`,
      `Allowed only in ${allowed.join(', ')}.`,
      { path: shipped, pathNot: [...allowed] },
      { path: packagePath(name) },
    ),
  ),
  rule(
    'fence-ffi',
    'Foreign functions only where Linux is.',
    { path: shipped, pathNot: '^hal/linux/' },
    {
      path: `^(node:)?ffi$|${packagePath('koffi')}`,
    },
  ),
  rule(
    'fence-http',
    'An import of node:http brings all that fetch is made of, 9 MB: process.getBuiltinModule does not (runtime/base/node-http.ts).',
    { path: shipped },
    { path: '^(node:)?https?$', ...valueOnly },
  ),
  rule(
    'no-unfenced-package',
    'Each package that ships has a fence in test/arch/doors.ts.',
    { path: shipped, pathNot: buildConfig },
    { dependencyTypes: thirdParty as never, pathNot: Object.keys(fences).map(packagePath) },
  ),
  rule(
    'no-development-package-ships',
    'A device has no development dependencies.',
    { path: shipped, pathNot: buildConfig },
    { dependencyTypes: ['npm-dev'] },
  ),
]

const graphRules: Rule[] = [
  rule('no-circles', 'A circle has no order to start in.', {}, { circular: true }),
  rule(
    'everything-resolves',
    'An import that resolves to nothing is checked by nobody.',
    {},
    {
      couldNotResolve: true,
    },
  ),
]

export const rules: readonly Rule[] = [...roomRules, ...packageRules, ...graphRules]

const sourceFolders = ['boards', 'hal', 'runtime', 'gateway', 'test', 'scripts']
const isSource = /\.(ts|tsx|mjs)$/
const skipped = new Set(['node_modules', 'dist', 'fixtures'])

/** Every source file under `root`, relative. */
export function sourceFiles(root: string): string[] {
  const walk = (folder: string): string[] =>
    readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
      const file = `${folder}/${entry.name}`
      if (entry.isDirectory()) return skipped.has(entry.name) ? [] : walk(file)
      return isSource.test(entry.name) ? [file] : []
    })
  const present = new Set(readdirSync(root))
  return sourceFolders.filter((folder) => present.has(folder)).flatMap(walk)
}

export interface DoorReport {
  readonly files: readonly string[]
  /** Sources that the tool really read. With a TypeScript that it does not know it reads none and is content. */
  readonly modules: readonly string[]
  readonly violations: readonly IViolation[]
}

/** Checks every source file under `root` against the doors. */
export async function checkDoors(root: string): Promise<DoorReport> {
  const files = sourceFiles(root)
  const { output } = await cruise([...files], {
    baseDir: root,
    ruleSet: { forbidden: [...rules] },
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.d.ts'],
    },
  })
  if (typeof output === 'string') throw new Error('dependency-cruiser answered with text')
  const known = new Set(files)
  return {
    files,
    modules: output.modules.map((module) => module.source).filter((source) => known.has(source)),
    violations: output.summary.violations,
  }
}

export function describeViolation({ rule: broken, from, to }: IViolation): string {
  const comment = rules.find(({ name }) => name === broken.name)?.comment ?? ''
  return `${from} imports ${to}: ${broken.name}. ${comment}`
}
