/** The doors of ARCHITECTURE.md hold, and the check that says so can fail: a violation of each rule is planted. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkDoors, type DoorReport, describeViolation, fences, rules } from './doors.ts'

const repository = path.resolve(import.meta.dirname, '../..')

/** What the plants below import. */
const targets = [
  'boards/index.ts',
  'boards/some.board.ts',
  'boards/families/header.ts',
  'hal/index.ts',
  'hal/linux/gpio.ts',
  'hal/contract/component.ts',
  'runtime/base/clock.ts',
  'runtime/wire/topics.ts',
  'runtime/agent/contract.ts',
  'runtime/agent/vm.ts',
  'runtime/agents/guard.agent.ts',
  'runtime/agents/beside-guard.ts',
  'runtime/things/entity.ts',
  'runtime/inference/engine/sessions.ts',
  'runtime/inference/redaction/redactor.ts',
  'runtime/perception/hearing/hearing.ts',
  'runtime/perception/perception.ts',
  'gateway/gateway.ts',
  'gateway/dashboard/page.ts',
  'test/fixtures.ts',
  'scripts/build.ts',
]

interface Plant {
  readonly file: string
  readonly imports: string
  readonly types?: true
}
const plant = (file: string, imports: string, types?: true): Plant => ({
  file,
  imports,
  ...(types && { types }),
})

/** The other half of the circle; a circle counts even where one half is only types. */
const circleCloser = plant('runtime/things/right.ts', 'runtime/things/left.ts', true)

/** One violation of each rule, or more. */
const violations: Readonly<Record<string, readonly Plant[]>> = {
  'hal-imports-only-hal': [
    plant('hal/a.ts', 'runtime/base/clock.ts'),
    plant('hal/b.ts', 'runtime/base/clock.ts', true),
    plant('hal/c.ts', 'boards/index.ts'),
  ],
  'boards-import-only-contract-types': [
    plant('boards/a.board.ts', 'hal/linux/gpio.ts', true),
    plant('boards/b.board.ts', 'runtime/base/clock.ts'),
    plant('boards/c.board.ts', 'boards/some.board.ts'),
    plant('boards/families/a.ts', 'boards/some.board.ts'),
    plant('boards/families/b.ts', 'hal/linux/gpio.ts'),
  ],
  'board-list-imports-only-boards': [plant('boards/index.ts', 'hal/index.ts')],
  'boards-take-no-contract-values': [plant('boards/d.board.ts', 'hal/contract/component.ts')],
  'base-imports-nothing': [
    plant('runtime/base/a.ts', 'runtime/wire/topics.ts'),
    plant('runtime/base/b.ts', 'hal/contract/component.ts', true),
  ],
  'wire-imports-only-base': [
    plant('runtime/wire/a.ts', 'runtime/things/entity.ts', true),
    plant('runtime/wire/b.ts', 'hal/contract/component.ts', true),
  ],
  'agents-import-only-their-contract': [
    plant('runtime/agents/a.agent.ts', 'runtime/agent/vm.ts'),
    plant('runtime/agents/b.agent.ts', 'runtime/agents/guard.agent.ts'),
    plant('runtime/agents/c.agent.ts', 'runtime/base/clock.ts'),
    plant('runtime/agents/d.agent.ts', 'runtime/agents/index.ts'),
    plant('runtime/agents/beside.ts', 'runtime/base/clock.ts'),
  ],
  'agent-list-imports-only-agents': [plant('runtime/agents/index.ts', 'runtime/things/entity.ts')],
  'runtime-sees-only-the-hal-contract': [
    plant('runtime/things/a.ts', 'hal/index.ts', true),
    plant('runtime/things/b.ts', 'boards/index.ts'),
    plant('runtime/runtime.ts', 'hal/linux/gpio.ts'),
  ],
  'runtime-takes-no-contract-values': [plant('runtime/things/c.ts', 'hal/contract/component.ts')],
  'composition-roots-open-two-doors': [
    plant('runtime/main.ts', 'hal/linux/gpio.ts'),
    plant('runtime/inference/engine/main.ts', 'boards/some.board.ts'),
  ],
  'runtime-imports-no-gateway': [plant('runtime/cli/a.ts', 'gateway/gateway.ts')],
  'gateway-sees-wire-base-engine': [
    plant('gateway/g.ts', 'runtime/inference/accelerators.ts', true),
    plant('gateway/g.ts', 'runtime/inference/router/router.ts', true),
    plant('gateway/g.ts', 'runtime/perception/perception.ts', true),
    plant('gateway/a.ts', 'runtime/things/entity.ts', true),
    plant('gateway/b.ts', 'hal/contract/component.ts', true),
  ],
  'dashboard-sees-only-itself-and-wire': [
    plant('gateway/dashboard/a.ts', 'gateway/gateway.ts', true),
    plant('gateway/dashboard/b.ts', 'runtime/base/clock.ts'),
  ],
  'dashboard-takes-no-wire-values': [plant('gateway/dashboard/c.ts', 'runtime/wire/topics.ts')],
  'shipped-code-imports-no-tests': [
    plant('hal/d.ts', 'test/fixtures.ts'),
    plant('gateway/d.ts', 'scripts/build.ts', true),
  ],
  ...Object.fromEntries(
    Object.keys(fences).map((name) => [`fence-${name}`, [plant('runtime/agent/a.ts', name)]]),
  ),
  'fence-valibot': [plant('hal/e.ts', 'valibot'), plant('runtime/base/d.ts', 'valibot')],
  'fence-ffi': [plant('runtime/link/a.ts', 'koffi'), plant('runtime/link/b.ts', 'node:ffi')],
  'fence-http': [plant('runtime/link/c.ts', 'node:http'), plant('gateway/api/d.ts', 'node:https')],
  'no-unfenced-package': [plant('gateway/e.ts', 'semver')],
  'no-development-package-ships': [
    plant('runtime/things/e.ts', 'vite'),
    plant('gateway/f.ts', 'vitest', true),
  ],
  'no-circles': [plant('runtime/things/left.ts', circleCloser.file)],
  'everything-resolves': [
    plant('runtime/things/f.ts', 'runtime/things/nothing.ts'),
    plant('gateway/g.ts', 'not-installed'),
  ],
}

/** What must stay open: each row of the table from its permitted side. */
const permitted: readonly Plant[] = [
  plant('hal/drivers/ok.ts', 'hal/linux/gpio.ts'),
  plant('boards/ok.board.ts', 'hal/contract/component.ts', true),
  plant('boards/ok.board.ts', 'boards/families/header.ts'),
  plant('runtime/wire/ok.ts', 'runtime/base/clock.ts'),
  plant('runtime/agents/ok.agent.ts', 'runtime/agent/contract.ts'),
  plant('runtime/agents/ok.agent.ts', 'runtime/agents/beside-guard.ts'),
  plant('runtime/things/ok.ts', 'hal/contract/component.ts', true),
  plant('runtime/main.ts', 'hal/index.ts'),
  plant('runtime/main.ts', 'boards/index.ts'),
  plant('runtime/inference/engine/main.ts', 'hal/index.ts'),
  plant('gateway/ok.ts', 'runtime/inference/engine/sessions.ts'),
  plant('gateway/ok.ts', 'runtime/inference/redaction/redactor.ts'),
  plant('gateway/ok.ts', 'runtime/perception/hearing/hearing.ts'),
  plant('gateway/ok.ts', 'runtime/base/clock.ts'),
  plant('gateway/dashboard/ok.ts', 'runtime/wire/topics.ts', true),
  plant('gateway/broker/ok.ts', 'aedes'),
  plant('runtime/inference/engine/ok.ts', 'onnxruntime-node'),
  plant('runtime/link/ok.ts', 'mqtt'),
  plant('gateway/broker-client.ts', 'mqtt'),
  plant('scripts/ok.ts', 'runtime/things/entity.ts'),
]

function statement({ file, imports, types }: Plant): string {
  const isOurs = imports.endsWith('.ts')
  const relative = path.posix.relative(path.posix.dirname(file), imports)
  const from = !isOurs ? imports : relative.startsWith('.') ? relative : `./${relative}`
  return types ? `import type { x } from '${from}'\nexport type Y = typeof x\n` : `import '${from}'\n`
}

function growTree(root: string): void {
  const sources = new Map<string, string>(targets.map((file) => [file, 'export const x = 1\n']))
  for (const planted of [...Object.values(violations).flat(), ...permitted, circleCloser])
    sources.set(planted.file, statement(planted) + (sources.get(planted.file) ?? ''))
  for (const [file, text] of sources) {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true })
    writeFileSync(path.join(root, file), text)
  }
  copyFileSync(path.join(repository, 'package.json'), path.join(root, 'package.json'))
  symlinkSync(path.join(repository, 'node_modules'), path.join(root, 'node_modules'))
}

test('every source file is read and no door is broken', async () => {
  const report = await checkDoors(repository)
  expect(report.files).toContain('runtime/base/clock.ts')
  expect([...report.modules].sort()).toEqual([...report.files].sort())
  expect(report.violations.map(describeViolation)).toEqual([])
})

describe('with violations planted', () => {
  let root: string
  let report: DoorReport
  const found = (name: string | undefined, file: string) =>
    report.violations.filter(
      (violation) => violation.from === file && (!name || violation.rule.name === name),
    )

  beforeAll(async () => {
    root = mkdtempSync(path.join(os.tmpdir(), 'ganglion-doors-'))
    growTree(root)
    report = await checkDoors(root)
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  test('each rule has a plant', () => {
    expect(Object.keys(violations).sort()).toEqual(rules.map(({ name }) => name).sort())
  })

  test.each(Object.entries(violations))('%s is caught', (name, plants) => {
    for (const { file } of plants) expect(found(name, file), `${file} against ${name}`).not.toEqual([])
  })

  test.each(permitted.filter(({ file }) => file.includes('ok')))('$file may import $imports', ({ file }) => {
    expect(found(undefined, file).map(describeViolation)).toEqual([])
  })

  test('the runtime composition root may open the HAL and the boards', () => {
    const reached = found(undefined, 'runtime/main.ts').map(({ to }) => to)
    expect(reached).toEqual(['hal/linux/gpio.ts'])
  })
})
