import { describe, expect, test } from 'vitest'
import { models } from '../../../runtime/inference/models/index.ts'
import { parseManifest } from '../../../runtime/inference/store/manifest.ts'
import { defaultModelsDir } from '../../../runtime/inference/store/models-dir.ts'
import { parseSource } from '../../../runtime/inference/store/source.ts'
import { manifestOf, openStore } from './fixtures.ts'

const good = manifestOf('good', [{ role: 'model', source: 'https://a.invalid/m', content: Buffer.from('x') }])
const [file] = good.files

describe('a manifest', () => {
  test.each(models.map((model) => [model.name, model]))(
    '%s of the shipped list is well formed [models-1]',
    (_name, model) => {
      expect(parseManifest(model)).toMatchObject(model)
      for (const { source } of model.files) {
        const parsed = parseSource(source)
        if (parsed?.kind === 'npm') expect(model.packageBytes).toHaveProperty([parsed.spec])
      }
    },
  )

  test.each([
    ['a path that climbs out', { files: [{ ...file, path: '../x' }] }, /files\.0\.path/],
    ['an absolute path', { files: [{ ...file, path: '/x' }] }, /files\.0\.path/],
    ['a short digest', { files: [{ ...file, sha256: 'abc' }] }, /files\.0\.sha256/],
    ['no files', { files: [] }, /files/],
    ['two files of one role', { files: [file, file] }, /same role/],
    [
      'a step that is unknown',
      { pipeline: 'steps', steps: [{ step: 'blur' }] },
      /step 1: no step is named blur/,
    ],
    ['steps where there are none', { pipeline: 'steps' }, /there are 0 steps/],
    ['an unknown pipeline', { pipeline: 'shell' }, /pipeline/],
    ['a name with a slash', { name: 'a/b' }, /name/],
    ['plain HTTP from elsewhere', { files: [{ ...file, source: 'http://a.invalid/m' }] }, /files\.0\.source/],
  ])('with %s is refused, naming the field', (_what, change, message) => {
    expect(() => parseManifest({ ...good, ...change })).toThrow(message)
  })

  test('may have its name only once in a store', async () => {
    await expect(openStore('/nowhere', good, good)).rejects.toMatchObject({ code: 'malformed' })
  })
})

describe('a source', () => {
  test.each([
    ['npm:left-pad@1.3.0#index.js', 'npm'],
    ['npm:@scope/name@1.2.3-beta.1#dist/a.onnx', 'npm'],
    ['https://a.invalid/m.onnx', 'http'],
    ['http://127.0.0.1:8080/m.onnx', 'http'],
    ['http://[::1]/m.onnx', 'http'],
    ['file:///srv/m.onnx', 'file'],
  ])('%s is taken', (text, kind) => {
    expect(parseSource(text)?.kind).toBe(kind)
  })

  test.each([
    'npm:--registry@1.0.0#x',
    'npm:left-pad@latest#x',
    'npm:left-pad@1.0.0',
    'npm:left-pad@1.0.0 --evil#x',
    'http://a.invalid/m',
    'http://127.0.0.1.a.invalid/m',
    'file://host/m',
    'ftp://a.invalid/m',
    'm.onnx',
  ])('%s is not', (text) => {
    expect(parseSource(text)).toBeUndefined()
  })
})

describe('the models folder', () => {
  test('is the one in GANGLION_MODELS_DIR, or the cache folder', () => {
    expect(defaultModelsDir({ GANGLION_MODELS_DIR: '/srv/models' })).toBe('/srv/models')
    expect(defaultModelsDir({ XDG_CACHE_HOME: '/c' })).toBe('/c/ganglion/models')
    expect(defaultModelsDir({})).toMatch(/\.cache\/ganglion\/models$/)
  })
})
