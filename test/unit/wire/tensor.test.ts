/** What counts as a tensor, whichever wire it came over. */
import { expect, test } from 'vitest'
import { parseOipRequest } from '../../../runtime/wire/oip.ts'
import { tensorFault } from '../../../runtime/wire/tensor.ts'

const tensor = (datatype: string, shape: readonly unknown[], data: unknown) => ({
  name: 'x',
  datatype,
  shape,
  data,
})

test('a BOOL is 0 or 1: native code is not asked what another byte means', () => {
  expect(tensorFault(tensor('BOOL', [3], Uint8Array.of(0, 1, 1)))).toBeUndefined()
  const fault = 'input x: element 1 is 7, which is not BOOL (0 or 1)'
  expect(tensorFault(tensor('BOOL', [3], Uint8Array.of(0, 7, 255)))).toBe(fault)
  const input = { name: 'x', datatype: 'BOOL', shape: [3], parameters: { binary_data_size: 3 } }
  const json = Buffer.from(JSON.stringify({ inputs: [input] }))
  expect(() => parseOipRequest(Buffer.concat([json, Uint8Array.of(0, 7, 1)]), json.byteLength)).toThrow(fault)
})

test('a length is one that a model can have, also beside a length of 0', () => {
  const none = new Float32Array(0)
  expect(tensorFault(tensor('FP32', [0, 2 ** 31 - 1], none))).toBeUndefined()
  for (const length of [2 ** 31, Number.MAX_SAFE_INTEGER, -1, 1.5, Number.NaN, '2', null, 2n])
    expect(tensorFault(tensor('FP32', [0, length], none))).toBe('input x: shape is not a list of lengths')
})
