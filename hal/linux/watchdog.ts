/**
 * Hardware watchdog (kernel: include/uapi/linux/watchdog.h, Documentation/watchdog/watchdog-api.rst). It counts from the
 * moment it is opened and resets the machine unless fed. A process that dies, or a thread that is ended, closes the node
 * without the magic 'V': the hardware goes on counting. Only `close` says it.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { HalError } from '../contract/errors.ts'
import { fsError, systemError } from './errno.ts'
import { ioctlNumber, readText } from './ioctl.ts'
import { ioctl } from './libc.ts'

/** 'W'. */
const watchdogType = 0x57
/** struct watchdog_info: u32 options, u32 firmware_version, u8 identity[32]. */
const infoSize = 40
const getSupport = ioctlNumber('read', watchdogType, 0, infoSize)
const keepAlive = ioctlNumber('read', watchdogType, 5, 4)
const setTimeoutRequest = ioctlNumber('readWrite', watchdogType, 6, 4)
const options = { setTimeout: 0x0080, magicClose: 0x0100 } as const

export interface LinuxWatchdog {
  /** As the driver names itself. */
  readonly identity: string
  /** What the hardware took; it may round what was asked for. Undefined: it cannot be set, and its own is not known. */
  readonly timeoutS: number | undefined
  /** False: it goes on counting after `close`, and the machine will be reset. */
  readonly canStop: boolean
  /** Puts the reset off for another period. Throws HalError. */
  feed(): void
  close(): void
}

/** Throws HalError `not-present`, `busy`, `permission`, `out-of-range` when it cannot be set to `timeoutS`. */
export function openWatchdog(path: string, timeoutS: number): LinuxWatchdog {
  const where = `watchdog ${path}`
  if (!Number.isInteger(timeoutS) || timeoutS < 1)
    throw new HalError('out-of-range', `${where}: ${timeoutS} is no whole number of seconds`)
  let fd: number | undefined
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    throw fsError(error, where, path)
  }
  const info = new Uint8Array(infoSize)
  const failed = ioctl(fd, getSupport, info)
  const supported = new DataView(info.buffer).getUint32(0, true)
  const canStop = (supported & options.magicClose) !== 0
  const close = () => {
    if (fd === undefined) return
    if (canStop) writeSync(fd, 'V')
    closeSync(fd)
    fd = undefined
  }
  try {
    if (failed !== 0) throw systemError(failed, where, path)
    const taken = (supported & options.setTimeout) !== 0 ? applyTimeout(fd, timeoutS, where, path) : undefined
    return {
      identity: readText(info, 8, 32),
      timeoutS: taken,
      canStop,
      feed: () => {
        if (fd === undefined) throw new HalError('closed', `${where} is closed`)
        const unfed = ioctl(fd, keepAlive, new Uint8Array(4))
        if (unfed !== 0) throw systemError(unfed, where, path)
      },
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

/** The kernel answers with the period that it set. */
function applyTimeout(fd: number, timeoutS: number, where: string, path: string): number {
  const seconds = new DataView(new ArrayBuffer(4))
  seconds.setInt32(0, timeoutS, true)
  const failed = ioctl(fd, setTimeoutRequest, new Uint8Array(seconds.buffer))
  if (failed !== 0) throw systemError(failed, `${where}, ${timeoutS} s`, path)
  return seconds.getInt32(0, true)
}
