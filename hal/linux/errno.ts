/**
 * From the kernel's error numbers to the HAL's codes. Sources: errno(3); for buses Documentation/i2c/fault-codes.rst of
 * the kernel. `where` names the thing as the configuration does, `path` the node that was used.
 */
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { HalError, type HalErrorCode } from '../contract/errors.ts'
import { permissionAdvice } from './permissions.ts'

interface Meaning {
  readonly code: HalErrorCode
  readonly text: string
}

const meanings: Readonly<Record<string, Meaning>> = {
  ENXIO: { code: 'no-acknowledge', text: 'nobody acknowledges; is it wired, powered and at this address?' },
  EREMOTEIO: {
    code: 'no-acknowledge',
    text: 'nobody acknowledges; is it wired, powered and at this address?',
  },
  ETIMEDOUT: { code: 'timeout', text: 'no answer in time; is the bus stuck (a line held low)?' },
  EAGAIN: { code: 'busy', text: 'another controller has the bus' },
  EBUSY: { code: 'busy', text: 'in use' },
  EBADMSG: { code: 'checksum', text: 'the checksum differs' },
  ENODEV: { code: 'not-present', text: 'it is gone' },
  ENOENT: { code: 'not-present', text: 'it is not there' },
  ESHUTDOWN: { code: 'not-present', text: 'its controller is shut down' },
  EBADF: { code: 'closed', text: 'it is closed' },
  EOPNOTSUPP: { code: 'unsupported', text: 'the hardware or its driver cannot do this' },
  ENOTTY: { code: 'unsupported', text: 'the driver does not know this request' },
  EINVAL: { code: 'out-of-range', text: 'the driver refuses these settings' },
  EMSGSIZE: { code: 'out-of-range', text: 'more bytes than one transfer may have' },
}

/** Those that Node has no name for; numbers of arm64 and x86-64 (include/uapi/asm-generic/errno.h). */
const unnamed: Readonly<Record<string, number>> = { ESHUTDOWN: 108, EREMOTEIO: 121 }
const numbers: Readonly<Record<string, number>> = { ...constants.errno, ...unnamed }
const names = new Map(Object.keys(meanings).map((name) => [numbers[name], name]))

/** The error for an error number that an ioctl left. */
export function systemError(number: number, where: string, path: string): HalError {
  return named(names.get(number) ?? getSystemErrorName(-number), where, path, undefined)
}

/** The error for what `node:fs` threw; an HalError is passed through. */
export function fsError(error: unknown, where: string, path: string): HalError {
  if (error instanceof HalError) return error
  return named((error as NodeJS.ErrnoException).code ?? 'unknown error', where, path, error)
}

function named(name: string, where: string, path: string, cause: unknown): HalError {
  const at = where === path ? where : `${where} (${path})`
  if (name === 'EACCES' || name === 'EPERM')
    return new HalError('permission', `${at}: ${permissionAdvice(path)}`, { cause })
  const meaning = meanings[name]
  return new HalError(
    meaning?.code ?? 'other',
    `${at}: ${meaning?.text ?? 'input or output failed'} [${name}]`,
    {
      cause,
    },
  )
}
