/** A bundle: files of one folder become the same bytes everywhere, and what was touched is not run. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentOf, openBundle, readContent, sealed } from '../../../../runtime/agent/bundle/bundle.ts'
import { bundleLimits } from '../../../../runtime/agent/bundle/bundle-error.ts'
import { canonicalJson } from '../../../../runtime/agent/bundle/canonical.ts'
import { checkManifest } from '../../../../runtime/agent/bundle/manifest.ts'
import { programOfFile } from '../../../../runtime/agent/bundle/program-of-file.ts'
import { MachinePool } from '../../../../runtime/agent/vm/machine-pool.ts'
import { realClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../../fixtures/agents/${name}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'ganglion-bundle-'))
const hub = Identity.open('hub', join(folder, 'hub'))
let pool: MachinePool

beforeAll(() => {
  pool = new MachinePool({ clock: realClock, log: silentLog }, { threadsMax: 1 })
})
afterAll(async () => {
  await pool[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** Writes files, the first being the agent's own, and gives its path. */
function written(files: Readonly<Record<string, string>>): string {
  const at = mkdtempSync(join(folder, 'agent-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(at, name)), { recursive: true })
    writeFileSync(join(at, name), text)
  }
  return join(at, Object.keys(files)[0] as string)
}
const fault = (files: Readonly<Record<string, string>>) => {
  try {
    programOfFile(written(files))
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`
  }
  return 'none'
}
const contentOfText = (text: string) => contentOf(pool, programOfFile(written({ 'a.ts': text })))
const counter = () => contentOf(pool, programOfFile(fixture('counter.ts')))

describe('a program [bundle-1]', () => {
  test('is the file, without its types, and the files that it imports', () => {
    const { entry, modules } = programOfFile(fixture('counter.ts'))
    expect(entry).toBe('./counter.ts')
    expect(Object.keys(modules).sort()).toEqual(['./counter.ts', './lib/sentence.ts', './lib/words.ts'])
    expect(modules['./lib/words.ts']).not.toContain('Readonly')
  })

  test.each([
    [
      'a package',
      { 'a.ts': `\nimport 'node:fs'` },
      /^source: \.\/a\.ts:2 imports "node:fs": an agent imports "ganglion" and/,
    ],
    ['an address', { 'a.ts': `import 'https://example.org/a.ts'` }, /:1 imports "https:.*nothing else$/],
    ['an absolute path', { 'a.ts': `import '/etc/passwd'` }, /:1 imports "\/etc\/passwd": .*nothing else$/],
    [
      'a folder above',
      { 'a.ts': `import './b/../../x.ts'` },
      /:1 imports ".*": that is outside of the agent's folder$/,
    ],
    [
      'what is not there',
      { 'a.ts': `import './b.ts'` },
      /^source: \.\/a\.ts:1 imports ".\/b.ts": there is no such file$/,
    ],
    [
      'a name cut short',
      { 'a.ts': `import './b'`, b: '' },
      /only \.ts and \.js files can be imported, by their whole name$/,
    ],
    ['a computed name', { 'a.ts': `import('./' + b)` }, /:1: import\(\) takes a plain string/],
    [
      'from a file of its own',
      { 'a.ts': `import './b/c.ts'`, 'b/c.ts': `\n\nimport 'fs'` },
      /^source: \.\/b\/c\.ts:3 imports "fs"/,
    ],
    [
      'syntax that needs a compiler',
      { 'a.ts': '\nenum A { B }' },
      /^source: \.\/a\.ts:2: .*enum is not supported.*plain JavaScript$/,
    ],
    ['broken text', { 'a.ts': '\n\nconst = 1' }, /^source: \.\/a\.ts:3: /],
  ] as const)('is refused with its file and line: %s', (_what, files, line) => {
    const said = fault(files)
    expect(said).toMatch(line)
    expect(said).not.toContain('\n')
  })

  test('does not follow a link that leads out of the folder', () => {
    const file = written({ 'a.ts': `import './b.ts'` })
    symlinkSync('/etc/hostname', join(dirname(file), 'b.ts'))
    expect(() => programOfFile(file)).toThrow(/outside of the agent's folder/)
  })

  test('may be named by a link: its folder is that of the file itself', () => {
    const file = written({ 'a.ts': `import './b.ts'`, 'b.ts': '' })
    const link = join(dirname(written({ 'other.ts': '' })), 'linked.ts')
    symlinkSync(file, link)
    expect(programOfFile(link)).toEqual(programOfFile(file))
  })

  test('is refused in one line where a file of it cannot be read', () => {
    const file = written({ 'a.ts': `import './b.ts'` })
    mkdirSync(join(dirname(file), 'b.ts'))
    expect(() => programOfFile(file)).toThrow(/^\.\/b\.ts cannot be read: [^\n]*directory[^\n]*$/)
  })

  test('is bounded in files and bytes', () => {
    const many = Array.from({ length: bundleLimits.modulesMax + 1 }, (_, at) => [`m${at}.ts`, ''] as const)
    const imports = many.map(([name]) => `import './${name}'`).join('\n')
    expect(fault({ 'a.ts': imports, ...Object.fromEntries(many) })).toMatch(/^too-large: .*at most 64 files/)
    const half = `// ${'x'.repeat(bundleLimits.sourceBytesMax / 2)}`
    expect(fault({ 'a.ts': `import './b.ts'\n${half}`, 'b.ts': half })).toMatch(
      /^too-large: .*bytes together$/,
    )
    expect(fault({ 'a.ts': half + half })).toMatch(/^too-large: \.\/a\.ts has/)
  })

  test('may import itself in a circle', () => {
    const files = { 'a.ts': `import './b.ts'`, 'b.ts': `import './a.ts'` }
    expect(Object.keys(programOfFile(written(files)).modules)).toHaveLength(2)
  })
})

describe('a manifest', () => {
  test('is what the program says when it is loaded', async () => {
    const { manifest } = await contentOf(pool, programOfFile(fixture('door-keeper.ts')))
    expect(manifest).toMatchObject({
      name: 'door-keeper',
      priority: 'interactive',
      wants: [{ want: 'lock.front_door:command' }, 'lock.front_door:read', 'memory'],
    })
  })

  test.each([
    ['no agent', 'export default 1', /there is no agent here/],
    ['a list', 'export default []', /there is no agent here/],
    ['no run', `export default { name: 'a' }`, /^run is missing: write `async run\(ctx\)/],
    ['a run that is none', `export default { name: 'a', run: 5 }`, /^run is a number, not a function: write/],
    ['an endless loop', 'while (true);', /more than 2000 ticks|more than 1000 ms/],
    [
      'an allocation bomb',
      `const a = []; while (true) a.push('x'.repeat(1e5) + a.length); export default a`,
      /out of memory|more than|invalid string length/i,
    ],
    ['a call of the outside', `await fetch('http://example.org')`, /fetch is not defined/],
    ['a promise that never settles', 'await new Promise(() => {})', /waits at its top level/],
    ['no name', 'export default { run() {} }', /definition: name is missing/],
    [
      'the name of the device itself',
      `export default { name: 'home', run() {} }`,
      /name must be another name/,
    ],
    ['a name that is none', `export default { name: '../hub', run() {} }`, /name must be a name of a-z/],
    [
      'a field that there is not',
      `export default { name: 'a', want: [], run() {} }`,
      /there is no field want$/,
    ],
    [
      'a capability that there is not',
      `export default { name: 'a', wants: ['light.*:command', 'root'], run() {} }`,
      /wants\.1: "root" is no capability/,
    ],
    [
      'limits that are none',
      `export default { name: 'a', wants: [{ want: 'light.a:command', limits: { rate: 'often' } }], run() {} }`,
      /wants\.0: rate: must be like 10\/h/,
    ],
    [
      'control characters',
      `export default { name: 'a', says: '\\u001b[2J', run() {} }`,
      /says has characters that cannot be shown/,
    ],
    [
      'too many wants',
      `export default { name: 'a', wants: Array(65).fill('think'), run() {} }`,
      /wants has more than 64 entries/,
    ],
  ])('is refused: %s', async (_what, text, line) => {
    const { message } = (await contentOfText(text).catch((error) => error)) as Error
    expect(message).toMatch(line)
    expect(message).not.toContain('\n')
  })

  test('is an object', () => {
    expect(() => checkManifest(null)).toThrow(/must be an object/)
  })
})

describe('a bundle', () => {
  test('has the same bytes wherever its files lie and whoever reads them [bundle-2]', async () => {
    const files = {
      'a.ts': `import './c.ts'; import './b.ts'; export default { run() {}, name: 'a' }`,
      'b.ts': '',
      'c.ts': '',
    }
    const bytes = async () => sealed(await contentOf(pool, programOfFile(written(files))), hub).bytes
    expect(Buffer.compare(await bytes(), await bytes())).toBe(0)
    // As on any other processor.
    expect((await counter()).hash).toBe('08853b1f5a1a815ac7c6b1cad0a7c027b46400eec2389a3505e99285aa225104')
  })

  test('is opened as what was sealed', async () => {
    const made = sealed(await counter(), hub)
    expect(openBundle(made.bytes, hub)).toEqual(made)
    expect(made).toMatchObject({ name: 'counter', by: 'hub', program: { entry: './counter.ts' } })
  })

  test('is refused when any byte of it is another [bundle-3]', async () => {
    const { bytes } = sealed(await counter(), hub)
    for (let at = 0; at < bytes.length; at += 7) {
      const touched = Uint8Array.from(bytes)
      touched[at] = (touched[at] as number) ^ 1
      expect(() => openBundle(touched, hub)).toThrow(
        expect.objectContaining({ name: 'BundleError', message: expect.stringMatching(/^[^\n]+$/) }),
      )
    }
  })

  test('is refused when its end is missing or something follows', async () => {
    const { bytes } = sealed(await counter(), hub)
    for (const cut of [0, 1, 100, bytes.length - 1])
      expect(() => openBundle(bytes.subarray(0, cut), hub)).toThrow(/no bundle|no signature/)
    expect(() => openBundle(Buffer.concat([bytes, Buffer.from('x')]), hub)).toThrow(/no bundle/)
  })

  test('of a stranger, or of one who only claims to be known, is refused [bundle-3]', async () => {
    const content = await counter()
    const stranger = sealed(content, Identity.open('kitchen', join(folder, 'kitchen')))
    expect(() => openBundle(stranger.bytes, hub)).toThrow(
      'the bundle of counter was signed by kitchen, whom nobody here knows',
    )
    const impostor = sealed(content, Identity.open('hub', join(folder, 'impostor')))
    expect(() => openBundle(impostor.bytes, hub)).toThrow(expect.objectContaining({ code: 'tampered' }))
  })

  test('of a device that is believed is run', async () => {
    const kitchen = Identity.open('kitchen', join(folder, 'kitchen'))
    const believing = Identity.open('hub', join(folder, 'hub'))
    believing.trust('kitchen', kitchen.publicKey)
    expect(openBundle(sealed(await counter(), kitchen).bytes, believing)).toMatchObject({ by: 'kitchen' })
  })

  test('with another agent under a good signature is refused [bundle-3]', async () => {
    const { bytes } = sealed(await counter(), hub)
    const other = await contentOfText(`export default { name: 'other', run() {} }`)
    const [, seal] = Buffer.from(bytes).toString().split('\n')
    expect(() => openBundle(Buffer.from(`${other.text}\n${seal}\n`), hub)).toThrow(
      'the bundle is not as hub signed it',
    )
  })

  test('of a later version says so', async () => {
    const { text } = await counter()
    const later = text.replace(/"v":1}$/, '"v":2}')
    await expect(readContent(pool, later)).rejects.toThrow(
      'the bundle is of version 2, this device reads version 1',
    )
  })

  test('that says something else of its agent than the agent does is refused [bundle-4]', async () => {
    const { manifest, program, text } = await counter()
    expect((await readContent(pool, text)).manifest).toEqual(manifest)
    const lying = canonicalJson({ v: 1, ...program, manifest: { ...manifest, wants: [] } as never })
    await expect(readContent(pool, lying)).rejects.toMatchObject({ code: 'tampered' })
  })

  test('that is too large is refused before it is read', () => {
    const large = Buffer.alloc(2 * bundleLimits.bundleBytesMax)
    expect(() => openBundle(large, hub)).toThrow(/at most 1048576 bytes/)
  })

  test('cannot carry modules named to do harm', async () => {
    const { manifest } = await counter()
    for (const name of ['__proto__', './../a.ts', '/a.ts', './a/./b.ts', 'ganglion']) {
      const text = `{"v":1,"entry":${JSON.stringify(name)},"manifest":${JSON.stringify(manifest)},"modules":{${JSON.stringify(name)}:""}}`
      await expect(readContent(pool, text)).rejects.toMatchObject({ code: 'malformed' })
    }
  })
})

test('canonical JSON sorts keys as RFC 8785 does and writes each value in one way', () => {
  const value = {
    '\u20ac': 1,
    '\r': 2,
    '\ufb33': 3,
    '1': 4,
    '\u{1f600}': 5,
    '\u0080': 6,
    ö: [1e21, 0.002, -0],
    b: null,
  }
  expect(canonicalJson(value)).toBe(
    '{"\\r":2,"1":4,"b":null,"\u0080":6,"ö":[1e+21,0.002,0],"€":1,"😀":5,"\ufb33":3}',
  )
})
