/**
 * The C library, through koffi: the few calls that Node has none for. Loaded at the first call, since it costs 10 MB and
 * 50 ms: only HAL threads (and `doctor`) make one. Symbols come from the whole process (`load(null)`), so a preloaded
 * library that stands in for hardware in tests sees them too. Layouts below are those of 64-bit little-endian Linux.
 *
 * Descriptors opened here or by Node's `fs` belong to the thread that opened them: Node closes them when the thread ends,
 * however it ends. `ownDescriptor` gives the same to a descriptor that the kernel returned by other means.
 */
import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { HalError } from '../contract/errors.ts'
import { enterNative, leaveNative } from './native-calls.ts'

type Koffi = typeof import('koffi')

interface Libc {
  readonly koffi: Koffi
  ioctl(fd: number, request: number, argument: Uint8Array): number
  ioctlValue(fd: number, request: number, argument: number): number
  read(fd: number, bytes: Uint8Array, length: number): number
  poll(fds: Uint8Array, count: number, timeoutMs: number): number
  dup3(from: number, to: number, flags: number): number
  fcntl(fd: number, command: number, argument: number): number
  close(fd: number): number
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array, length: number): number
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number
}

let loaded: Libc | undefined

/** Throws HalError `unsupported` where the layouts here do not hold, or koffi's binary is missing. */
function libc(): Libc {
  if (loaded) return loaded
  enterNative()
  try {
    loaded = load()
  } finally {
    leaveNative()
  }
  return loaded
}

/** Loads the library now. Later it is loaded by the first call, which may be one that somebody waits for. */
export function loadLibc(): void {
  libc()
}

function load(): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'arm64' && process.arch !== 'x64'))
    throw new HalError(
      'unsupported',
      `hardware needs Linux on arm64 or x64, this is ${process.platform} on ${process.arch}`,
    )
  const koffi = requireKoffi()
  const whole = koffi.load(null)
  return {
    koffi,
    // Variadic in C, as fcntl; on both architectures the third argument is passed as if they were not.
    ioctl: whole.func('int ioctl(int fd, unsigned long request, void *argument)'),
    ioctlValue: whole.func('int ioctl(int fd, unsigned long request, unsigned long argument)'),
    read: whole.func('intptr_t read(int fd, void *bytes, size_t length)'),
    poll: whole.func('int poll(void *fds, unsigned long count, int timeoutMs)'),
    dup3: whole.func('int dup3(int from, int to, int flags)'),
    fcntl: whole.func('int fcntl(int fd, int command, int argument)'),
    close: whole.func('int close(int fd)'),
    socket: whole.func('int socket(int domain, int type, int protocol)'),
    bind: whole.func('int bind(int fd, void *address, unsigned int length)'),
    setsockopt: whole.func('int setsockopt(int fd, int level, int option, void *value, unsigned int length)'),
  }
}

function requireKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi')
  } catch (cause) {
    throw new HalError(
      'unsupported',
      `koffi, which calls the C library, is not installed for ${process.arch}`,
      {
        cause,
      },
    )
  }
}

/** 0, or the error's number. The kernel reads and writes `argument` in place. */
export function ioctl(fd: number, request: number, argument: Uint8Array | number): number {
  const c = libc()
  enterNative()
  try {
    const result =
      typeof argument === 'number' ? c.ioctlValue(fd, request, argument) : c.ioctl(fd, request, argument)
    return result < 0 ? c.koffi.errno() : 0
  } finally {
    leaveNative()
  }
}

/** How many bytes were read into the start of `bytes`, or the error's number, negative. */
export function read(fd: number, bytes: Uint8Array): number {
  const c = libc()
  enterNative()
  try {
    const count = c.read(fd, bytes, bytes.byteLength)
    return count < 0 ? -c.koffi.errno() : count
  } finally {
    leaveNative()
  }
}

/** struct pollfd of poll(2): int fd; short events; short revents. */
const pollOut = 0x0004

/** Waits until `fd` takes bytes. False when the time is up. */
export function waitWritable(fd: number, timeoutMs: number): boolean {
  const entry = new DataView(new ArrayBuffer(8))
  entry.setInt32(0, fd, true)
  entry.setInt16(4, pollOut, true)
  const c = libc()
  enterNative()
  try {
    return c.poll(new Uint8Array(entry.buffer), 1, timeoutMs) > 0
  } finally {
    leaveNative()
  }
}

/** Address of a buffer, to be put into a structure. The buffer must be kept as long as the kernel may use it. */
export function addressOf(buffer: Uint8Array): bigint {
  return libc().koffi.address(buffer)
}

/** O_CLOEXEC: a child process that kept a line would hold it after this process has died. */
const closeOnExec = 0o2000000

/** F_SETFL and O_NONBLOCK of fcntl(2). */
const setFlags = 4
const nonBlocking = 0o4000

/**
 * Makes this thread the owner of a descriptor that an ioctl returned, and its reads non-blocking: the result replaces it.
 */
export function ownDescriptor(fd: number): number {
  const c = libc()
  // Node knows the descriptors that its own open() gave; the new one takes such a one's place.
  const owned = openSync('/dev/null', 'r')
  const result = c.dup3(fd, owned, closeOnExec)
  c.close(fd)
  if (result >= 0 && c.fcntl(owned, setFlags, nonBlocking) >= 0) return owned
  closeSync(owned)
  throw new HalError('other', `descriptor ${fd} of the kernel's cannot be taken over`)
}

/**
 * Calls `onReadable` from this thread's event loop whenever `fd` can be read, hang-ups and errors included. Returns how
 * to stop; stop before closing `fd`. Measured: half the latency of a second thread in poll(2), which also needs 10 MB and
 * could not be ended while it waits.
 */
export function watchReadable(fd: number, onReadable: () => void): () => void {
  let queued = false
  // From its own turn of the loop: koffi calls back without the scope in which Node runs promises and reports errors.
  const turn = () => {
    queued = false
    if (watched) onReadable()
  }
  let watched = true
  const handle = libc().koffi.node.poll(fd, { readable: true }, () => {
    if (queued) return
    queued = true
    setImmediate(turn)
  })
  return () => {
    if (!watched) return
    watched = false
    handle.close()
  }
}

export interface SocketOptions {
  readonly domain: number
  readonly type: number
  readonly protocol: number
  /** sockaddr of the domain. */
  readonly address: Uint8Array
  readonly settings: readonly {
    readonly level: number
    readonly option: number
    readonly value: Uint8Array
  }[]
}

/** A non-blocking socket with its settings, bound. Returns its descriptor, or the error's number, negative. */
export function boundSocket({ domain, type, protocol, address, settings }: SocketOptions): number {
  const c = libc()
  const fd = c.socket(domain, type | nonBlocking | closeOnExec, protocol)
  if (fd < 0) return -c.koffi.errno()
  const failed =
    settings.some(
      ({ level, option, value }) => c.setsockopt(fd, level, option, value, value.byteLength) < 0,
    ) || c.bind(fd, address, address.byteLength) < 0
  if (!failed) return ownDescriptor(fd)
  const error = c.koffi.errno()
  c.close(fd)
  return -error
}
