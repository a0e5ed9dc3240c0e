/**
 * The standard's classes for pins (ECMA-419, clause 10: Digital, Digital bank, Analog input, Pulse-width modulation, Pulse
 * count). A module has inputs only [ecma-419-2].
 */
import type { Analog, Digital, DigitalBank, DigitalMode, Io, PulseCount } from '../contract/io.ts'
import { bothPulls, type Granted, inputModes, outputModes } from './granted.ts'
import { type Callbacks, type Given, handleOf, IoInstance, integerIn } from './io-instance.ts'

const rising = 1
const falling = 2
const maskMax = 0xffff_ffff
const bitsMax = 32

export function createPinClasses(io: Io, granted: Granted) {
  class Digital419 extends IoInstance<Digital> {
    static readonly Input = inputModes.Input
    static readonly InputPullUp = inputModes.InputPullUp
    static readonly InputPullDown = inputModes.InputPullDown
    static readonly InputPullUpDown = bothPulls
    static readonly Output = outputModes.Output
    static readonly OutputOpenDrain = outputModes.OutputOpenDrain
    static readonly Rising = rising
    static readonly Falling = falling
    constructor(options: Given) {
      super(options, ['number'], ({ onReadable }) => {
        const { pin, mode, edge, activeLow } = options
        const edges = onReadable ? integerIn('edge', edge, rising, rising + falling) : 0
        return io.digital({
          pin: granted.pin(pin),
          mode: granted.mode(mode),
          activeLow: activeLow === true,
          ...(onReadable
            ? { edge: edgesOf(edges & rising, edges & falling), onReadable: () => onReadable() }
            : {}),
        })
      })
    }
    read(): 0 | 1 {
      return handleOf(this).read()
    }
    write(): void {
      handleOf(this)
      granted.refuse('it wrote to an input')
    }
  }

  /** The bank of a module is its own pins: bit n is the n-th that the configuration gives. */
  class DigitalBank419 extends IoInstance<DigitalBank> {
    static readonly Input = inputModes.Input
    static readonly InputPullUp = inputModes.InputPullUp
    static readonly InputPullDown = inputModes.InputPullDown
    static readonly InputPullUpDown = bothPulls
    static readonly Output = outputModes.Output
    static readonly OutputOpenDrain = outputModes.OutputOpenDrain
    constructor(options: Given) {
      super(options, ['number'], (callbacks) => openBank(io, granted, options, callbacks))
    }
    read(): number {
      return handleOf(this).read()
    }
    write(): void {
      handleOf(this)
      granted.refuse('it wrote to inputs')
    }
  }

  /** Where a module names no `control`, which the standard requires, pulses count up. */
  class PulseCount419 extends IoInstance<PulseCount> {
    constructor(options: Given) {
      super(options, ['number'], ({ onReadable }) => {
        const { signal, control } = options
        return io.pulseCount({
          signal: granted.pin(signal),
          ...(control === undefined ? {} : { control: granted.pin(control) }),
          ...(onReadable ? { onReadable: () => onReadable() } : {}),
        })
      })
    }
    read(): number {
      return handleOf(this).read()
    }
    write(count: unknown): void {
      const { MIN_SAFE_INTEGER, MAX_SAFE_INTEGER } = Number
      handleOf(this).write(integerIn('count', count, MIN_SAFE_INTEGER, MAX_SAFE_INTEGER))
    }
  }

  class Analog419 extends IoInstance<Analog> {
    constructor(options: Given) {
      super(options, ['number'], () => {
        // What was asked for is a wish; the property says what there is.
        const { pin, resolution } = options
        if (resolution !== undefined) integerIn('resolution', resolution, 1, bitsMax)
        return io.analog({ pin: granted.pin(pin) })
      })
    }
    get resolution(): number {
      return handleOf(this).resolution
    }
    read(): number {
      return handleOf(this).read()
    }
    write(): void {
      handleOf(this)
      granted.refuse('it wrote to an input')
    }
  }

  class PWM {
    constructor(_options: Given) {
      granted.refuse('it asked for a PWM output; a sensor module has inputs')
    }
    close(): void {}
  }

  return {
    Analog: Analog419,
    Digital: Digital419,
    DigitalBank: DigitalBank419,
    PWM,
    PulseCount: PulseCount419,
  }
}

const edgesOf = (up: number, down: number) => ({ rising: up !== 0, falling: down !== 0 })

function openBank(io: Io, granted: Granted, options: Given, { onReadable }: Callbacks): DigitalBank {
  const given = granted.pins
  const wanted = integerIn('pins', options['pins'], 0, maskMax)
  const places = given.flatMap((_, place) => ((wanted >>> place) & 1 ? [place] : []))
  if (places.length === 0 || wanted >= 2 ** given.length)
    granted.refuse(`it asked for pins that its configuration does not give (mask ${wanted})`)
  const mode = granted.mode(options['mode'])
  const bank = onReadable
    ? watchedBank(io, granted, options, places, mode, onReadable)
    : io.digitalBank({ pins: places.map((place) => ({ pin: given[place] ?? '' })), mode })
  return {
    read() {
      const bits = bank.read()
      return places.reduce((sum, place, bit) => sum | (((bits >>> bit) & 1) << place), 0) >>> 0
    },
    write: (value) => bank.write(value),
    close: () => bank.close(),
  }
}

/** A bank whose edges are wanted is opened line by line: a request for many lines reports none here. */
function watchedBank(
  io: Io,
  granted: Granted,
  options: Given,
  places: readonly number[],
  mode: DigitalMode,
  onReadable: (triggers: number) => void,
): DigitalBank {
  const rises = integerIn('rises', options['rises'] ?? 0, 0, maskMax)
  const falls = integerIn('falls', options['falls'] ?? 0, 0, maskMax)
  if (!places.some((place) => ((rises | falls) >>> place) & 1))
    throw new RangeError('onReadable needs a pin of the bank in rises or falls')
  const lines: Digital[] = []
  const close = () => {
    for (const line of lines) line.close()
  }
  try {
    for (const place of places) {
      const edge = edgesOf((rises >>> place) & 1, (falls >>> place) & 1)
      const report = () => onReadable((1 << place) >>> 0)
      const watch = edge.rising || edge.falling ? { edge, onReadable: report } : {}
      lines.push(io.digital({ pin: granted.pins[place] ?? '', mode, ...watch }))
    }
  } catch (error) {
    close()
    throw error
  }
  return {
    read: () => lines.reduce((bits, line, bit) => bits | (line.read() << bit), 0) >>> 0,
    write: () => granted.refuse('it wrote to inputs'),
    close,
  }
}
