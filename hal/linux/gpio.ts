/**
 * Digital lines of the kernel's GPIO chips. All lines of one request change in one ioctl; a request has the lines of one
 * chip. The kernel releases a request when its descriptor closes, and the lines may then change: what must stay safe
 * without us is the guard's business (hal/safety).
 */
import { closeSync } from 'node:fs'
import { HalError } from '../contract/errors.ts'
import type { Digital, DigitalBank, DigitalBankOptions, DigitalMode, DigitalOptions } from '../contract/io.ts'
import { systemError } from './errno.ts'
import { flags, LineValues, newLineRequest, requestFd, requests } from './gpio-abi.ts'
import { type GpioChips, type GpioLine, withNode } from './gpio-chips.ts'
import { watchEdges } from './gpio-edges.ts'
import { ioctl, ownDescriptor } from './libc.ts'

/** How Ganglion names itself to whoever looks who holds a line (`gpioinfo`): with the pin as it was written, where it is one. */
const consumerOf = (lines: readonly GpioLine[]) =>
  lines.length === 1 ? `ganglion ${lines[0]?.name}` : 'ganglion'
/** Bits of a value; ECMA-419 banks have no more. */
const linesMax = 32
/** Edges that wait in the kernel for a thread that is busy: the most that it keeps for one line (64 times 16). */
const eventBufferSize = 1024

const modeFlags: Readonly<Record<DigitalMode, number>> = {
  input: flags.input,
  'input-pull-up': flags.input | flags.biasPullUp,
  'input-pull-down': flags.input | flags.biasPullDown,
  output: flags.output,
  'output-open-drain': flags.output | flags.openDrain,
}

export interface RequestOptions {
  readonly lines: readonly GpioLine[]
  readonly mode: DigitalMode
  /** Bit n is line n. */
  readonly activeLow?: number
  readonly initial?: number
  readonly edge?: { readonly rising: boolean; readonly falling: boolean } | undefined
  readonly debounceUs?: number | undefined
}

/** Lines that were requested together. Bit n of every value is line n. */
export class LineRequest {
  readonly where: string
  readonly lines: readonly GpioLine[]
  readonly #path: string
  readonly #values = new LineValues()
  readonly #output: boolean
  #fd: number | undefined

  private constructor(options: RequestOptions, path: string, fd: number) {
    this.lines = options.lines
    this.where = options.lines.map(({ name }) => name).join(', ')
    this.#path = path
    this.#output = isOutput(options.mode)
    this.#fd = fd
  }

  /** Throws HalError `busy` naming who holds a line, `permission`, `out-of-range`, `unsupported`. */
  static open(chips: GpioChips, options: RequestOptions): LineRequest {
    const { lines, mode, activeLow = 0, initial = 0, edge, debounceUs = 0 } = options
    const path = onePath(lines)
    eachOnce(lines)
    const bytes = newLineRequest({
      offsets: lines.map(({ offset }) => offset),
      consumer: consumerOf(lines),
      flags:
        modeFlags[mode] | (edge?.rising ? flags.edgeRising : 0) | (edge?.falling ? flags.edgeFalling : 0),
      activeLow,
      initial,
      debounceUs,
      eventBufferSize: edge ? eventBufferSize : 0,
    })
    const failed = withNode(path, (fd) => ioctl(fd, requests.getLine, bytes))
    if (failed !== 0) throw refusal(chips, lines, failed)
    return new LineRequest(options, path, ownDescriptor(requestFd(bytes)))
  }

  /** Open descriptor; the request's alone to close. */
  get fd(): number {
    if (this.#fd === undefined) throw new HalError('closed', `${this.where} is closed`)
    return this.#fd
  }

  requireOpen(): void {
    if (this.#fd === undefined) throw new HalError('closed', `${this.where} is closed`)
  }

  read(): number {
    const failed = ioctl(this.fd, requests.getValues, this.#values.set(0, allOf(this.lines.length)))
    if (failed !== 0) throw systemError(failed, this.where, this.#path)
    return this.#values.bits
  }

  write(bits: number, mask: number): void {
    const fd = this.fd
    if (!this.#output) throw new HalError('unsupported', `${this.where} is an input, it cannot be written`)
    const failed = ioctl(fd, requests.setValues, this.#values.set(bits, mask))
    if (failed !== 0) throw systemError(failed, this.where, this.#path)
  }

  close(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
  }
}

export function openDigital(
  chips: GpioChips,
  line: GpioLine,
  options: DigitalOptions & { readonly onError: (error: HalError) => void },
): Digital {
  const { mode, activeLow, initial, edge, debounceUs, onReadable, onError } = options
  if (edge && isOutput(mode))
    throw new HalError('unsupported', `${line.name} is an output, only inputs report edges`)
  const request = LineRequest.open(chips, {
    lines: [line],
    mode,
    activeLow: activeLow ? 1 : 0,
    initial: initial ?? 0,
    edge,
    debounceUs,
  })
  const watch = edge && onReadable ? watchEdges(request, (edge) => onReadable(edge), onError) : undefined
  return {
    read: () => (request.read() === 0 ? 0 : 1),
    write: (value) => request.write(value, 1),
    close: () => {
      watch?.stop()
      request.close()
    },
  }
}

export function openBank(
  chips: GpioChips,
  lines: readonly GpioLine[],
  { pins, mode }: DigitalBankOptions,
): DigitalBank {
  const bits = (of: (pin: DigitalBankOptions['pins'][number]) => unknown) =>
    pins.reduce((sum, pin, n) => (of(pin) ? sum + 2 ** n : sum), 0)
  const request = LineRequest.open(chips, {
    lines,
    mode,
    activeLow: bits(({ activeLow }) => activeLow),
    initial: bits(({ initial }) => initial),
  })
  return {
    read: () => request.read(),
    write: (value, mask = allOf(lines.length)) => request.write(value, mask),
    close: () => request.close(),
  }
}

const isOutput = (mode: DigitalMode) => (modeFlags[mode] & flags.output) !== 0
const allOf = (count: number) => (count === linesMax ? 0xffffffff : 2 ** count - 1)

function onePath(lines: readonly GpioLine[]): string {
  const [first] = lines
  if (!first || lines.length > linesMax)
    throw new HalError('out-of-range', `a bank has 1 to ${linesMax} lines, not ${lines.length}`)
  const stranger = lines.find(({ path }) => path !== first.path)
  if (stranger)
    throw new HalError(
      'unsupported',
      `one bank cannot hold lines of two chips: ${first.name} is on ${first.chip}, ${stranger.name} on ${stranger.chip}`,
    )
  return first.path
}

/** One line by two names, `chip/NAME` and `chip#4`: the kernel would say only that something is busy. */
function eachOnce(lines: readonly GpioLine[]): void {
  for (const [n, line] of lines.entries()) {
    const before = lines.slice(0, n).find(({ offset }) => offset === line.offset)
    if (before)
      throw new HalError(
        'busy',
        `${before.name} and ${line.name} are one line (${line.chip} line ${line.offset})`,
      )
  }
}

/** EBUSY says neither which line nor who: the kernel is asked line by line. */
function refusal(chips: GpioChips, lines: readonly GpioLine[], failed: number): HalError {
  const names = lines.map(({ name }) => name).join(', ')
  const error = systemError(failed, names, lines[0]?.path ?? names)
  if (error.code !== 'busy') return error
  for (const line of lines) {
    const holder = chips.consumer(line)
    if (holder !== '')
      return new HalError('busy', `${line.name} (${line.chip} line ${line.offset}): in use by "${holder}"`)
  }
  return error
}
