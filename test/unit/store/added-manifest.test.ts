/** Manifests that people put beside models: where they may be read from. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAddedManifest } from '../../../runtime/inference/store/added-manifest.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'added-manifest-'))
})
afterEach(() => rmSync(folder, { recursive: true }))
const path = () => join(folder, 'model.yaml')

test('a manifest that is a device or a pipe is refused without being read: it might never end', () => {
  symlinkSync('/dev/null', path())
  expect(() => readAddedManifest(folder)).toThrow(`${path()} is no file`)
  rmSync(path())
  expect(spawnSync('mkfifo', [path()]).status).toBe(0)
  expect(() => readAddedManifest(folder)).toThrow(`${path()} is no file`)
})

test('a manifest of aliases upon aliases is refused before it fills the memory', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let at = 1; at < 12; at += 1) {
    const ten = Array(10)
      .fill(`*a${at - 1}`)
      .join(', ')
    lines.push(`a${at}: &a${at} [${ten}]`)
  }
  writeFileSync(path(), `${lines.join('\n')}\nfile: model.onnx\n`)
  expect(() => readAddedManifest(folder)).toThrow('model.yaml')
})
