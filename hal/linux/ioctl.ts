/**
 * Numbers of ioctl requests, computed as include/uapi/asm-generic/ioctl.h does (arm64 and x86-64 share it): direction in
 * bits 30 and 31, size of the argument in 16 to 29, type in 8 to 15, number in 0 to 7. Requests older than this scheme
 * (I2C) are plain numbers, beside their use.
 */

const directions = { none: 0, write: 1, read: 2, readWrite: 3 } as const

/** `direction` is as the program sees it: `write` hands a structure of `size` bytes to the kernel. */
export function ioctlNumber(
  direction: keyof typeof directions,
  type: number,
  number: number,
  size: number,
): number {
  return ((directions[direction] << 30) | (size << 16) | (type << 8) | number) >>> 0
}

/** A text field of fixed length, ended by NUL unless it is full. */
export function readText(bytes: Uint8Array, offset: number, length: number): string {
  const field = bytes.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end))
}
