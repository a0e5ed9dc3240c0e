/** Every agent that comes with the device: that it is one, says what for, and is the same out of a bundle. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { contentOf } from '../../../runtime/agent/bundle/bundle.ts'
import { programOfFile } from '../../../runtime/agent/bundle/program-of-file.ts'
import { MachinePool } from '../../../runtime/agent/vm/machine-pool.ts'
import { shippedAgents } from '../../../runtime/agents/index.ts'
import { realClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { assetPlugin } from '../../../scripts/build/assets.ts'

const root = join(import.meta.dirname, '..', '..', '..')
let pool: MachinePool
beforeAll(() => {
  pool = new MachinePool({ clock: realClock, log: silentLog }, { threadsMax: 1 })
})
afterAll(() => pool[Symbol.asyncDispose]())

describe.each(shippedAgents)('$definition.name', ({ definition, file }) => {
  test('is an agent in the machine as it is in its file, of one agent and files beside it [agents-shipped-1]', async () => {
    const program = programOfFile(fileURLToPath(file))
    expect(program.entry).toBe(`./${definition.name}.agent.ts`)
    expect(Object.keys(program.modules).filter((name) => name.includes('.agent.'))).toEqual([program.entry])
    const { manifest } = await contentOf(pool, program)
    expect(manifest).toEqual(JSON.parse(JSON.stringify(definition)))
    expect(manifest.says).toMatch(/^[a-z].*[^.]$/)
  })

  test('wants no whole home [agents-shipped-1]', () => {
    const wants = (definition.wants ?? []).map((want) => (typeof want === 'string' ? want : want.want))
    expect(wants.filter((want) => /^\*\.|[:@]\*$/.test(want))).toEqual([])
  })
})

test('the programs of a bundle are those of the source tree [agents-shipped-2]', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ganglion-shipped-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'package.json'), '{"type": "module"}')
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  const entries = { list: 'runtime/agents/index.ts', programs: 'runtime/agent/bundle/program-of-file.ts' }
  const input = Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join(root, file)]))
  const build = await rolldown({
    ...{ cwd: root, input, platform: 'node', plugins: [assetPlugin(root, entries)] },
    checks: { pluginTimings: false },
  })
  await build.write({ dir, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' })
  await build.close()
  const list: { shippedAgents: typeof shippedAgents } = await import(join(dir, 'list.js'))
  const programs: { programOfFile: typeof programOfFile } = await import(join(dir, 'programs.js'))
  expect(list.shippedAgents.map(({ file }) => basename(file.pathname))).toEqual(
    shippedAgents.map(({ file }) => basename(file.pathname)),
  )
  for (const [at, { file }] of list.shippedAgents.entries())
    expect(programs.programOfFile(fileURLToPath(file))).toEqual(
      programOfFile(fileURLToPath((shippedAgents[at] as (typeof shippedAgents)[number]).file)),
    )
})
