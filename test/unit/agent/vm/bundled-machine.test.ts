/** A machine as a device has it: the pool, its thread, the engine and the guest out of a bundle. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { expect, onTestFinished, test } from 'vitest'
import { MachinePool } from '../../../../runtime/agent/vm/machine-pool.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { assetPlugin } from '../../../../scripts/build/assets.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..')
/** As `scripts/build.ts` names them; the pool for itself, as no program is only that. */
const entries = {
  'machines-worker': 'runtime/agent/vm/machines-worker.ts',
  pool: 'runtime/agent/vm/machine-pool.ts',
}

async function bundledPool(): Promise<typeof MachinePool> {
  const dir = mkdtempSync(join(tmpdir(), 'ganglion-bundled-machine-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'package.json'), '{"type": "module"}')
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  const input = Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join(root, file)]))
  const external = /^quickjs-wasi(\/|$)/
  const build = await rolldown({
    ...{ cwd: root, input, platform: 'node', external, plugins: [assetPlugin(root, entries)] },
    checks: { pluginTimings: false },
  })
  await build.write({ dir, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' })
  await build.close()
  return (await import(join(dir, 'pool.js'))).MachinePool
}

test('a bundle makes the machines that the source tree makes: an image of one goes on in the other [vm-2]', async () => {
  const deps = { clock: new VirtualClock(), log: silentLog }
  const Bundled = await bundledPool()
  await using there = new Bundled(deps, { threadsMax: 1 })
  await using here = new MachinePool(deps, { threadsMax: 1 })
  expect(there.engine).toBe(here.engine)
  const source = 'export default { name: "a", async run(ctx) { await ctx.sleep(1); return Math.random() } }'
  const run = { program: { entry: './a.js', modules: { './a.js': source } }, seed: 3 }
  const machine = await there.create(run, 0)
  await machine.turn(0, [{ kind: 'start', device: 'hub' }])
  const moved = await here.restore(run, await machine.image())
  const input = [{ kind: 'settle', id: 1, ok: true, value: undefined }] as const
  const { output } = { output: undefined, ...(await machine.turn(1, input)) }
  expect(output).toMatchObject({ end: { ok: true } })
  expect(await moved.turn(1, input)).toMatchObject({ output })
})
