/** Tensors from what a person has: NumPy files, JSON, pictures, sound; and answers as a person reads them. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodePicture, decodeSound } from '../../../runtime/cli/decode-file.ts'
import { outputLines } from '../../../runtime/cli/infer-output.ts'
import { pictureInput, pictureTensor, soundTensor } from '../../../runtime/cli/model-inputs.ts'
import { tensorFrom } from '../../../runtime/cli/tensor-file.ts'
import type { TensorSpec } from '../../../runtime/wire/engine-protocol.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'infer-files-'))
})
afterAll(() => rmSync(dir, { recursive: true }))
const never = new AbortController().signal
const spec = (name: string, datatype: TensorSpec['datatype'], shape: TensorSpec['shape']) => ({
  name,
  datatype,
  shape,
})

/** As numpy.save writes it. */
function npy(descr: string, shape: string, content: Uint8Array, order = 'False'): string {
  const header = `${`{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`.padEnd(117)}\n`
  const head = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0])
  const path = join(dir, `${Math.random()}.npy`)
  writeFileSync(path, Buffer.concat([head, Buffer.from(header), content]))
  return path
}

describe('--input', () => {
  test('a NumPy file becomes a tensor of its own type and shape', () => {
    const file = npy('<f4', '2, 3', new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer))
    expect(tensorFrom(`x=${file}`, [])).toEqual({
      name: 'x',
      datatype: 'FP32',
      shape: [2, 3],
      data: Float32Array.of(1, 2, 3, 4, 5, 6),
    })
    const scalar = npy('<i8', '', new Uint8Array(BigInt64Array.of(7n).buffer))
    expect(tensorFrom(`n=${scalar}`, [])).toMatchObject({ shape: [], data: BigInt64Array.of(7n) })
  })

  test('JSON takes the datatype of the model’s input, and its own shape', () => {
    const specs = [spec('ids', 'INT64', [1, 'n'])]
    expect(tensorFrom('ids=[[1, 2, 3]]', specs)).toEqual({
      name: 'ids',
      datatype: 'INT64',
      shape: [1, 3],
      data: BigInt64Array.of(1n, 2n, 3n),
    })
    writeFileSync(join(dir, 'x.json'), '[1.5, 2.5]')
    expect(tensorFrom(`x=${join(dir, 'x.json')}`, [])).toMatchObject({ datatype: 'FP32', shape: [2] })
    expect(tensorFrom('text=["hello"]', [])).toMatchObject({ datatype: 'BYTES', shape: [1] })
    expect(tensorFrom('[1]', [spec('only', 'FP32', ['n'])])).toMatchObject({ name: 'only' })
  })

  test.each([
    ['y=[1]', 'the model has no such input; there are: x'],
    ['x=nonsense', 'neither JSON nor a file'],
    ['x=[[1, 2], [3]]', 'input x: 3 elements, but its shape [2,2] holds 4'],
    ['x=["a"]', 'is not FP32'],
    ['x=/nowhere/a.npy', 'cannot read /nowhere/a.npy'],
  ])('%s is refused in one line', (text, message) => {
    expect(() => tensorFrom(text, [spec('x', 'FP32', ['n'])])).toThrow(message)
  })

  test('a NumPy file that is cut, in Fortran’s order, of complex numbers, or none, is refused by name', () => {
    expect(() => tensorFrom(`x=${npy('<f4', '2,', new Uint8Array(4))}`, [])).toThrow(
      '4 bytes, but FP32 [2] has 8',
    )
    expect(() => tensorFrom(`x=${npy('<f4', '1,', new Uint8Array(4), 'True')}`, [])).toThrow('Fortran')
    expect(() => tensorFrom(`x=${npy('<c8', '1,', new Uint8Array(8))}`, [])).toThrow('holds <c8')
    const none = join(dir, 'none.npy')
    writeFileSync(none, 'not at all')
    expect(() => tensorFrom(`x=${none}`, [])).toThrow('none.npy is no NumPy file')
  })
})

describe('pictures and sound', () => {
  const rgb = Uint8Array.of(1, 2, 3, 4, 5, 6)
  test('a picture goes in as rows of bytes, or as planes of shares, as the model’s input is', () => {
    const rows = pictureInput([spec('image', 'UINT8', ['h', 'w', 3])])
    expect(pictureTensor(rows, { width: 2, height: 1, rgb })).toEqual({
      name: 'image',
      datatype: 'UINT8',
      shape: [1, 2, 3],
      data: rgb,
    })
    const planes = pictureInput([spec('x', 'FP32', [1, 3, 1, 2])])
    expect(planes.size).toEqual({ width: 2, height: 1 })
    const tensor = pictureTensor(planes, { width: 2, height: 1, rgb })
    expect(tensor.shape).toEqual([1, 3, 1, 2])
    expect(tensor.data).toEqual(Float32Array.from([1, 4, 2, 5, 3, 6], (value) => value / 255))
  })

  test('a model that takes neither says what it takes', () => {
    const specs = [spec('ids', 'INT64', [1, 'n'])]
    expect(() => pictureInput(specs)).toThrow('takes no picture of three colours, but ids INT64 [1, n]')
    expect(() => soundTensor(specs, new Float32Array(1))).toThrow('takes no sound, but ids INT64 [1, n]')
  })

  test('sound of a fixed length is cut, or ends in silence', () => {
    const one = [spec('audio', 'FP32', [4])]
    expect(soundTensor(one, Float32Array.of(1, 2)).data).toEqual(Float32Array.of(1, 2, 0, 0))
    expect(soundTensor(one, Float32Array.of(1, 2, 3, 4, 5)).data).toEqual(Float32Array.of(1, 2, 3, 4))
    expect(soundTensor([spec('audio', 'FP32', [1, 'n'])], Float32Array.of(1, 2)).shape).toEqual([1, 2])
  })

  const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0
  test('ffmpeg decodes a picture and a recording; what is none is refused by name', async (ctx) => {
    ctx.skip(!hasFfmpeg, 'ffmpeg is not installed')
    const picture = join(dir, 'red.png')
    const source = (filter: string, ...more: string[]) =>
      execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', filter, ...more])
    source('color=red:size=6x4', '-frames:v', '1', picture)
    const { width, height, rgb: pixels } = await decodePicture(picture, undefined, never)
    expect([width, height, pixels.length]).toEqual([6, 4, 72])
    expect(pixels[0]).toBeGreaterThan(200)
    expect(pixels[1]).toBeLessThan(60)
    expect(await decodePicture(picture, { width: 2, height: 2 }, never)).toMatchObject({
      width: 2,
      height: 2,
    })
    const sound = join(dir, 'tone.wav')
    source('sine=frequency=440:duration=0.5', sound)
    expect((await decodeSound(sound, 16_000, never)).length).toBe(8_000)
    const text = join(dir, 'text.png')
    writeFileSync(text, 'no picture')
    await expect(decodePicture(text, undefined, never)).rejects.toThrow(`ffmpeg cannot decode ${text}`)
    await expect(decodeSound(picture, 16_000, never)).rejects.toThrow('red.png')
    await expect(decodePicture(join(dir, 'nowhere.png'), undefined, never)).rejects.toThrow('cannot read')
  })

  test('without ffmpeg it says what to do', async () => {
    const file = join(dir, 'a.png')
    writeFileSync(file, 'x')
    const { PATH } = process.env
    process.env['PATH'] = dir
    try {
      await expect(decodePicture(file, undefined, never)).rejects.toThrow(
        'which is not installed: install it',
      )
    } finally {
      process.env['PATH'] = PATH
    }
  })
})

describe('answers', () => {
  const tensor = (name: string, datatype: string, shape: number[], data: (number | string | null)[]) => ({
    name,
    datatype,
    shape,
    data,
  })
  test('scores show the likeliest first, words are words, a single number is one', () => {
    expect(outputLines([tensor('scores', 'FP32', [1, 7], [0, 0.5, 0.1, 0.25, 0, 0.1, 0.05])])).toEqual([
      'scores [1, 7], highest:',
      '      1  0.5000',
      '      3  0.2500',
      '      2  0.1000',
      '      5  0.1000',
      '      6  0.05000',
    ])
    expect(outputLines([tensor('text', 'BYTES', [1], ['hello'])])).toEqual(['text: hello'])
    expect(outputLines([tensor('person', 'FP32', [1], [0.75])])).toEqual(['person: 0.7500'])
    expect(outputLines([tensor('x', 'FP32', [1], [null])])).toEqual(['x: not a number'])
    expect(outputLines([tensor('boxes', 'FP32', [0, 4], [])])).toEqual(['boxes: nothing'])
  })

  test('boxes and their scores are a line each', () => {
    expect(
      outputLines([
        tensor('boxes', 'FP32', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
        tensor('scores', 'FP32', [2], [0.5, 0.25]),
      ]),
    ).toEqual(['boxes 1 2 3 4  scores 0.5000', 'boxes 5 6 7 8  scores 0.2500'])
  })
})
