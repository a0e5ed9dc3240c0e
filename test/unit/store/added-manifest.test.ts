/** Manifests that people put beside models: where they may be read from. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  digestFiles,
  placeFiles,
  readAddedManifest,
} from '../../../runtime/inference/store/added-manifest.ts'
import { contentId } from '../../../runtime/inference/store/checked-facts.ts'
import { never } from './fixtures.ts'

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

test('[added-6] weights that a graph keeps in a file beside it are part of what it is', async () => {
  writeFileSync(path(), 'file: model.onnx\nname: m\n')
  // The name lies across two pieces of what is read.
  const far = Buffer.alloc(64 * 1024 - 4)
  writeFileSync(join(folder, 'model.onnx'), Buffer.concat([far, Buffer.from('location weights.bin')]))
  const idNow = async () => {
    const manifest = readAddedManifest(folder)
    return contentId(manifest, await digestFiles(manifest, await placeFiles(folder, manifest), never))
  }
  const ids = [await idNow()]
  for (const weights of ['one', 'two']) {
    writeFileSync(join(folder, 'weights.bin'), weights)
    ids.push(await idNow())
  }
  expect(new Set(ids).size).toBe(3)
  writeFileSync(join(folder, 'notes.txt'), 'nothing of it')
  expect(await idNow()).toBe(ids[2])
  rmSync(join(folder, 'weights.bin'))
  symlinkSync('/etc/hostname', join(folder, 'weights.bin'))
  await expect(idNow()).rejects.toThrow('leads out of its folder')
})
