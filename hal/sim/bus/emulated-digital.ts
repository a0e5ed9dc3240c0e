/**
 * Digital lines, banks and pulse counters on emulated lines. As on Linux: a line is one user's (`busy` for the second),
 * edges arrive later than the call that made them, at most 64 wait, and a line that was given back reverts.
 */
import { HalError } from '../../contract/errors.ts'
import type { HostClock } from '../../contract/host.ts'
import type {
  Digital,
  DigitalBank,
  DigitalBankOptions,
  DigitalMode,
  DigitalOptions,
  Edge,
  PulseCount,
  PulseCountOptions,
} from '../../contract/io.ts'
import { nanoseconds } from './bus-fault.ts'
import type { EmulatedLine, Level, LineUse } from './emulated-line.ts'

/** Edges that wait for their reader; more are lost and counted, as in the kernel's buffer. */
const edgesMax = 64
/** Lines of one request (GPIO_V2_LINES_MAX is 64; a bank's values are 32-bit numbers). */
const bankPinsMax = 32

const invert = (level: Level, activeLow: boolean | undefined): Level => (activeLow ? (level ? 0 : 1) : level)
const isOutput = (mode: DigitalMode) => mode === 'output' || mode === 'output-open-drain'

/** Called with every output line that one call changed. */
export type OutputsListener = (levels: Readonly<Record<string, Level>>) => void

export function takeLine(line: EmulatedLine, use: LineUse): void {
  if (line.use !== 'free') throw new HalError('busy', `pin ${line.name} is in use already (${line.use})`)
  line.setUse(use)
}

export function releaseLine(line: EmulatedLine): void {
  line.setUse('free')
  line.output(undefined)
}

/** The level that a computer's output puts on the line: an open-drain output only pulls down. */
const driven = (level: Level, mode: DigitalMode): Level | undefined =>
  mode === 'output-open-drain' && level === 1 ? undefined : level

export function openDigital(
  line: EmulatedLine,
  options: DigitalOptions,
  clock: HostClock,
  outputs: OutputsListener,
): Digital {
  const { mode, activeLow } = options
  const write = (value: 0 | 1) => {
    const before = line.level
    line.output(driven(invert(value, activeLow), mode))
    if (line.level !== before) outputs({ [line.name]: line.level })
  }
  takeLine(line, mode)
  if (isOutput(mode)) write(options.initial ?? 0)
  const stop = options.edge ? reportEdges(line, options, clock) : () => {}
  let open = true
  const check = () => {
    if (!open) throw new HalError('closed', `pin ${line.name} is closed`)
  }
  return {
    read() {
      check()
      return invert(line.level, activeLow)
    },
    write(value) {
      check()
      if (!isOutput(mode)) throw new HalError('unsupported', `pin ${line.name} is an input`)
      write(value)
    },
    close() {
      if (!open) return
      open = false
      stop()
      releaseLine(line)
    },
  }
}

/** Delivers edges in a microtask, in order, at most 64 waiting. */
function reportEdges(line: EmulatedLine, options: DigitalOptions, clock: HostClock): () => void {
  const waiting: Edge[] = []
  let missed = 0
  let stopped = false
  const deliver = () => {
    for (let edge = waiting.shift(); edge && !stopped; edge = waiting.shift()) options.onReadable?.(edge)
  }
  const report = (level: Level, atMs: number) => {
    const rising = invert(level, options.activeLow) === 1
    if (!(rising ? options.edge?.rising : options.edge?.falling)) return
    if (waiting.length >= edgesMax) {
      missed += 1
      return
    }
    waiting.push({ rising, timestampNs: nanoseconds(atMs), missed })
    missed = 0
    if (waiting.length === 1) queueMicrotask(deliver)
  }
  const unsubscribe = line.onLevel(debounced(line, options.debounceUs ?? 0, clock, report))
  return () => {
    stopped = true
    unsubscribe()
  }
}

/** Passes a level on when it has stayed for `debounceUs`, and differs from the one passed on before. */
function debounced(
  line: EmulatedLine,
  debounceUs: number,
  clock: HostClock,
  report: (level: Level, atMs: number) => void,
): (level: Level, atMs: number) => void {
  if (debounceUs === 0) return report
  let reported = line.level
  let cancel = () => {}
  return () => {
    cancel()
    cancel = clock.after(debounceUs / 1000, () => {
      if (line.level === reported) return
      reported = line.level
      report(line.level, clock.monotonicMs())
    })
  }
}

export function openBank(
  lines: readonly EmulatedLine[],
  options: DigitalBankOptions,
  outputs: OutputsListener,
): DigitalBank {
  if (lines.length === 0 || lines.length > bankPinsMax)
    throw new HalError('out-of-range', `a bank has 1 to ${bankPinsMax} pins, not ${lines.length}`)
  const places = lines.map((line, bit) => ({ line, bit, options: options.pins[bit] }))
  takeAll(lines, options.mode)
  const set = (value: number, mask: number) => {
    const changed: Record<string, Level> = {}
    for (const { line, bit, options: pin } of places) {
      if (!((mask >>> bit) & 1)) continue
      const before = line.level
      line.output(driven(invert(((value >>> bit) & 1) as Level, pin?.activeLow), options.mode))
      if (line.level !== before) changed[line.name] = line.level
    }
    if (Object.keys(changed).length > 0) outputs(changed)
  }
  const initial = places.reduce((bits, { bit, options: pin }) => bits | ((pin?.initial ?? 0) << bit), 0)
  if (isOutput(options.mode)) set(initial, 0xffffffff)
  const name = `pins ${lines.map((line) => line.name).join(', ')}`
  let open = true
  const check = () => {
    if (!open) throw new HalError('closed', `${name} are closed`)
  }
  return {
    read() {
      check()
      return (
        places.reduce(
          (bits, { line, bit, options: pin }) => bits | (invert(line.level, pin?.activeLow) << bit),
          0,
        ) >>> 0
      )
    },
    write(value, mask = 0xffffffff) {
      check()
      if (!isOutput(options.mode)) throw new HalError('unsupported', `${name} are inputs`)
      set(value, mask)
    },
    close() {
      if (!open) return
      open = false
      for (const line of lines) releaseLine(line)
    },
  }
}

/** All lines or none. */
function takeAll(lines: readonly EmulatedLine[], use: LineUse): void {
  const taken: EmulatedLine[] = []
  try {
    for (const line of lines) {
      takeLine(line, use)
      taken.push(line)
    }
  } catch (error) {
    for (const line of taken) releaseLine(line)
    throw error
  }
}

/** Counts rising edges; with a second phase, all four edges of a quadrature cycle, up when `signal` leads. */
export function openPulseCount(
  signal: EmulatedLine,
  control: EmulatedLine | undefined,
  options: PulseCountOptions,
  clock: HostClock,
): PulseCount {
  takeAll(control ? [signal, control] : [signal], 'pulse-count')
  let count = 0
  let open = true
  let announced = false
  const step = (by: number) => {
    count += by
    if (announced) return
    announced = true
    queueMicrotask(() => {
      announced = false
      if (open) options.onReadable?.()
    })
  }
  const onSignal = (level: Level) => {
    if (control) step(level === control.level ? -1 : 1)
    else if (level === 1) step(1)
  }
  const debounceUs = options.debounceUs ?? 0
  const stops = [signal.onLevel(debounced(signal, debounceUs, clock, onSignal))]
  if (control)
    stops.push(
      control.onLevel(
        debounced(control, debounceUs, clock, (level) => step(level === signal.level ? 1 : -1)),
      ),
    )
  const check = () => {
    if (!open) throw new HalError('closed', `pulse count on pin ${signal.name} is closed`)
  }
  return {
    read() {
      check()
      return count
    },
    write(value) {
      check()
      count = value
    },
    close() {
      if (!open) return
      open = false
      for (const stop of stops) stop()
      for (const line of control ? [signal, control] : [signal]) releaseLine(line)
    },
  }
}
