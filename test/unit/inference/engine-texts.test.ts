/** Texts on their way into the real ONNX Runtime. */
import { expect, test } from 'vitest'
import type { Tensor } from '../../../runtime/wire/infer.ts'
import { node, onnxModel, value } from '../../fixtures/onnx.ts'
import { Bench, outputs, tensorModel, write } from './engine-bench.ts'

const texts = (...data: string[]): Tensor => ({ name: 'x', datatype: 'BYTES', shape: [data.length], data })

test('a text with U+0000 is bad-input: native code would see what is before it, and nobody would be told', async () => {
  await write(
    'same',
    onnxModel({
      inputs: [value('x', 'BYTES', ['n'])],
      outputs: [value('y', 'BYTES', ['n'])],
      nodes: [node('Identity', ['x'], ['y'])],
    }),
  )
  const bench = new Bench([tensorModel('same')])
  bench.infer('whole', 'same', [texts('a', 'naïve 😀')])
  expect(outputs(await bench.final('whole'))).toEqual({ y: ['a', 'naïve 😀'] })
  bench.infer('cut', 'same', [texts('a', 'b\0c')])
  expect(await bench.error('cut')).toBe('bad-input: input x has the character U+0000 in element 1')
})
