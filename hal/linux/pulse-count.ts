/**
 * Counts pulses from kernel edges (ECMA-419 clause 9.6). One line: rising edges, those that were lost on the way to us
 * included. Two lines: a quadrature encoder, every edge of either phase counts, four a cycle, upwards when `signal` leads;
 * lost edges cost their counts, but each later edge carries its line's level, so the direction stays right.
 */
import type { HalError } from '../contract/errors.ts'
import type { PulseCount, PulseCountOptions } from '../contract/io.ts'
import { LineRequest } from './gpio.ts'
import type { GpioChips, GpioLine } from './gpio-chips.ts'
import { watchEdges } from './gpio-edges.ts'

/** Both phases are one request: the kernel gives their edges in the order in which they happened. */
export function openPulseCount(
  chips: GpioChips,
  signal: GpioLine,
  control: GpioLine | undefined,
  { debounceUs, onReadable, onError }: PulseCountOptions & { readonly onError: (error: HalError) => void },
): PulseCount {
  const request = LineRequest.open(chips, {
    lines: control ? [signal, control] : [signal],
    mode: 'input',
    edge: { rising: true, falling: control !== undefined },
    debounceUs,
  })
  let count = 0
  let failure: HalError | undefined
  const levels = control ? request.read() : 0
  let signalHigh = (levels & 1) !== 0
  let controlHigh = (levels & 2) !== 0
  const watch = watchEdges(
    request,
    ({ rising, missed }, offset) => {
      if (!control) count += 1 + missed
      else if (offset === signal.offset) {
        signalHigh = rising
        count += signalHigh === controlHigh ? -1 : 1
      } else {
        controlHigh = rising
        count += controlHigh === signalHigh ? 1 : -1
      }
      onReadable?.()
    },
    (error) => {
      failure = error
      onError(error)
    },
  )
  /** A thread that was busy counts what the kernel kept; a counter that counts no longer says so. */
  const upToDate = () => {
    request.requireOpen()
    watch.drain()
    if (failure) throw failure
  }
  return {
    read: () => {
      upToDate()
      return count
    },
    write: (value) => {
      upToDate()
      count = value
    },
    close: () => {
      watch.stop()
      request.close()
    },
  }
}
