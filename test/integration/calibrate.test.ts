/** `scripts/calibrate.ts` as a person runs it, on two networks that hear keywords. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { VirtualClock } from '../../runtime/base/clock.ts'
import { readAddedManifest } from '../../runtime/inference/store/added-manifest.ts'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { golden } from '../fixtures/models/golden.ts'

const script = fileURLToPath(new URL('../../scripts/calibrate.ts', import.meta.url))
const file = (name: string) =>
  fileURLToPath(new URL(`../../runtime/inference/models/files/${name}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'calibrate-'))
afterAll(() => rmSync(folder, { recursive: true }))

function calibrate(lines: readonly string[], ...args: string[]) {
  return calibrateAt(file('kws-int8.onnx'), lines, ...args)
}

function calibrateAt(small: string, lines: readonly string[], ...args: string[]) {
  const examples = join(folder, 'examples.jsonl')
  writeFileSync(examples, lines.join('\n'))
  return spawnSync(process.execPath, [script, small, examples, ...args], { encoding: 'utf8' })
}

/** Sixteen recordings, each with some noise, several times. */
function examples(): string[] {
  const { data, shape } = golden('kws')['features'] as Extract<Tensor, { datatype: 'FP32' }>
  const size = data.length / (shape[0] ?? 1)
  const random = new VirtualClock({ seed: 4 })
  return Array.from({ length: 320 }, (_, n) => {
    const from = (n % (shape[0] ?? 1)) * size
    const loud = 12 * random.random()
    const noisy = Array.from(data.slice(from, from + size), (value) => value + loud * (random.random() - 0.5))
    return JSON.stringify({
      inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 49, 10, 1], data: noisy }],
    })
  })
}

it('tells how sure the small model is, before and after, and the lines for its manifest [router-13]', () => {
  const { stdout, stderr, status } = calibrate(
    examples(),
    ...['--output', 'probabilities', '--large', file('kws.onnx'), '--accuracy', '0.8'],
  )
  expect(stderr).toBe('')
  expect(status).toBe(0)
  const report = JSON.parse(stdout)
  expect(report.examples).toEqual({ fitted: 160, judged: 160 })
  expect(report.largeAccuracy).toBe(1)
  expect(report.eceAfter).toBeGreaterThanOrEqual(0)
  expect(report.keptAccuracyBound).toBeGreaterThanOrEqual(0.8)
  expect(report.accuracy).toBeGreaterThanOrEqual(report.smallAccuracy)
  expect(report.cascade).toMatchObject({ output: 'probabilities', threshold: report.threshold })
})

it('names what is wrong and where, in one line', () => {
  const { stderr, status } = calibrate(
    ['{"inputs": [{"name": "features"}], "label": 1}'],
    '--output',
    'probabilities',
  )
  expect(status).toBe(2)
  expect(stderr).toMatch(/^calibrate: .*examples\.jsonl:1: .*datatype.*\n$/)
  const wrong = { inputs: [{ name: 'features', datatype: 'FP32', shape: [1], data: [1] }], label: 1 }
  const refused = calibrate([JSON.stringify(wrong)], '--output', 'probabilities')
  expect(refused.status).toBe(2)
  expect(refused.stderr).toMatch(/^calibrate: .*examples\.jsonl:1: the small model: input features is .*\n$/)
})

it('models in folders, as people add them: the cascade is written where a device reads it [router-13]', () => {
  const put = (name: string, graph: string) => {
    mkdirSync(join(folder, name))
    copyFileSync(file(graph), join(folder, name, 'model.onnx'))
    writeFileSync(join(folder, name, 'model.yaml'), 'file: model.onnx')
    return join(folder, name)
  }
  const [small, large] = [put('heard-small', 'kws-int8.onnx'), put('heard-large', 'kws.onnx')]
  const args = ['--output', 'probabilities', '--large', large, '--accuracy', '0.8', '--write']
  const { stdout, stderr, status } = calibrateAt(small, examples(), ...args)
  expect(stderr).toBe('')
  expect(status).toBe(0)
  const report = JSON.parse(stdout)
  expect(report.askedShare + report.keptShare).toBeCloseTo(1, 9)
  expect(report.cascade.large).toBe('heard-large')
  expect(readAddedManifest(small).cascade).toEqual(report.cascade)

  const again = calibrateAt(small, examples(), ...args)
  expect(again.status).toBe(2)
  expect(again.stderr).toMatch(/^calibrate: --write needs .* without a cascade as yet: .*heard-small, .*\n$/)
})
