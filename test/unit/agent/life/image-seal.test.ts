/** Only an image that this site made, of the same program, for the same engine, is ever run. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, test } from 'vitest'
import { ImageSeal } from '../../../../runtime/agent/life/image-seal.ts'
import { agentsFile } from '../../../../runtime/agent/store/agent-store.ts'
import { readEngineFiles } from '../../../../runtime/agent/vm/engine-files.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { AgentsWorld, until } from '../../../fixtures/agent/agents-world.ts'

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const directories = ['hub', 'other'].map((name) => mkdtempSync(join(tmpdir(), `seal-${name}-`)))
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true })
})
const [hub, stranger] = directories.map((directory, at) => Identity.open(at ? 'stranger' : 'hub', directory))
const engine = 'e'.repeat(64)
const sealOf = (identity = hub, of = engine) => new ImageSeal({ engine: of, identity: identity as Identity })
const bytes = Buffer.from('what a machine was')
const image = { bytes, sha256: digest(bytes), take: 8, drain: 16 }
const sealed = Buffer.from(sealOf().close(image, 'p'))

/** The same image, with one text in it for another. */
function changed(from: string, to: string): Buffer {
  const text = sealed.toString('latin1')
  expect(text).toContain(from)
  return Buffer.from(text.replace(from, to), 'latin1')
}

test('an image comes out as it went in', async () => {
  expect(await sealOf().open(sealed, 'p')).toEqual(image)
})

test.each<[string, () => Uint8Array, string, RegExp]>([
  [
    'of another engine',
    () => sealOf(hub, 'f'.repeat(64)).close(image, 'p'),
    'other-engine',
    /ffffffffffff, here is eeeeeeeeeeee/,
  ],
  ['of another engine that says it is ours', () => changed(`"engine":"e`, `"engine":"f`), 'tampered', /hub/],
  ['of another program', () => sealOf().close(image, 'q'), 'other-program', /another program/],
  ['of a device that nobody here knows', () => sealOf(stranger).close(image, 'p'), 'foreign', /stranger/],
  [
    'with another byte in it',
    () => changed('what a machine', 'that a machine'),
    'tampered',
    /as it was signed/,
  ],
  ['with its functions elsewhere', () => changed('"take":8', '"take":9'), 'tampered', /hub/],
  ['without its end', () => sealed.subarray(0, -1), 'tampered', /as it was signed/],
  ['without its signature', () => sealed.subarray(0, 20), 'malformed', /no image/],
  ['that is none', () => Buffer.from('{}\n\n'), 'malformed', /header/],
])('an image %s is refused', async (_what, make, code, message) => {
  await expect(sealOf().open(make(), 'p')).rejects.toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  )
})

test('an agent whose image another engine made is not run, says why, and goes on where that engine is back', async () => {
  await using world = new AgentsWorld()
  const before = await world.open()
  await before.run(world.bundle('one', `for (const key of ['a', 'b']) await ctx.memory.get(key)`), '*')
  ;(await world.service.nth(0)).answer()
  await world.service.nth(1)
  await before[Symbol.asyncDispose]()
  const own = Identity.open('hub', world.directory)
  const ours = digest(readEngineFiles().wasm)
  await reseal(world, sealOf(own, ours), sealOf(own, 'f'.repeat(64)))
  const after = await world.open()
  ;(await world.service.nth(2)).answer()
  const { reason, turns } = await until(after, 'one', 'failed')
  expect(reason).toMatch(/another version of the machine \(f{12}, here is/)
  expect(turns).toBe(2)
  await after[Symbol.asyncDispose]()
  await reseal(world, sealOf(own, 'f'.repeat(64)), sealOf(own, ours))
  const back = await world.open()
  await back.resume('one')
  ;(await world.service.nth(3)).answer()
  await until(back, 'one', 'ended')
})

async function reseal(world: AgentsWorld, from: ImageSeal, to: ImageSeal): Promise<void> {
  const db = new DatabaseSync(join(world.directory, agentsFile))
  const { program, sealed: kept } = db
    .prepare('SELECT program, sealed FROM image JOIN agent ON agent.name = image.agent')
    .get() as { program: string; sealed: Uint8Array }
  db.prepare('UPDATE image SET sealed = ?').run(to.close(await from.open(kept, program), program))
  db.close()
}
