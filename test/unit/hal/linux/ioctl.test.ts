/** Request numbers against those of the headers, printed by a C program on x86-64; arm64 has the same (asm-generic). */
import { expect, test } from 'vitest'
import { requests } from '../../../../hal/linux/gpio-abi.ts'
import { ioctlNumber, readText } from '../../../../hal/linux/ioctl.ts'

test('the numbers of GPIO requests are those of linux/gpio.h', () => {
  expect(requests).toEqual({
    chipInfo: 0x8044b401,
    lineInfo: 0xc100b405,
    getLine: 0xc250b407,
    getValues: 0xc010b40e,
    setValues: 0xc010b40f,
  })
})

test('numbers of each direction are positive and as the headers have them', () => {
  expect(ioctlNumber('write', 0x6b, 0, 32)).toBe(0x40206b00)
  expect(ioctlNumber('read', 0x57, 0, 40)).toBe(0x80285700)
  expect(ioctlNumber('readWrite', 0x57, 6, 4)).toBe(0xc0045706)
  expect(ioctlNumber('none', 0x12, 0x60, 0)).toBe(0x1260)
})

test('a text field ends at its NUL, or at its end', () => {
  const bytes = new TextEncoder().encode('abc\0xydef')
  expect(readText(bytes, 0, 6)).toBe('abc')
  expect(readText(bytes, 6, 3)).toBe('def')
})
