/** Writes one of the kernel's small text files. */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { fsError } from './errno.ts'

/** The file must be there: nothing is created. Throws HalError. */
export function writeAttribute(where: string, path: string, value: string): void {
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_TRUNC)
    try {
      writeSync(fd, value)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw fsError(error, where, path)
  }
}
