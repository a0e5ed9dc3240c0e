/**
 * A strip of addressable LEDs (WS2812B) on the MOSI line of an SPI bus, all in one colour.
 *
 * Each bit of a LED is three SPI bits of 417 ns at 2.4 MHz: 1 is `110`, 0 is `100`. That is within the data sheet's
 * 0.4 and 0.8 µs ± 150 ns for the high part and 0.85 and 0.45 µs ± 150 ns for the low part. The WS2812B-V5 allows the high
 * part of a 0 only 220 to 380 ns, so for it this is outside the data sheet by 37 ns; the rest fits. A strip takes the colours
 * after a pause of more than 280 µs (50 µs in older revisions). What the strip may draw is limited: the brightness is lowered
 * until the sum fits, and telemetry shows the brightness that the strip really has.
 *
 * Source: Worldsemi WS2812B data sheet (2016), "Data transfer time" and "Composition of 24 bit data"; WS2812B-V5 data
 * sheet for the longer pause; 20 mA a colour, "LED characteristic parameter".
 */
import { CommandFields } from '../command-fields.ts'
import type { ActuatorDriver, Options, OutputPort } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Spi } from '../contract/io.ts'
import type { OutputValues } from '../contract/safety.ts'

const hz = 2_400_000
/** 30 µs a LED: more would take longer than the 5 ms that a write may. */
const ledsMax = 150
/** 300 µs of low level, in bytes of SPI. */
const pauseBytes = Math.ceil((300e-6 * hz) / 8)
const mAPerColour = 20
/** What a LED draws while it is dark. */
const mADark = 1

/** The three SPI bytes of each byte. */
const encoded = Array.from({ length: 256 }, (_, byte) => {
  let bits = 0
  for (let bit = 7; bit >= 0; bit--) bits = (bits << 3) | ((byte >> bit) & 1 ? 0b110 : 0b100)
  return [bits >> 16, (bits >> 8) & 0xff, bits & 0xff] as const
})

export const ledStrip: ActuatorDriver = {
  role: 'actuator',
  id: 'led-strip',
  name: 'Strip of addressable LEDs (WS2812B)',
  manufacturer: 'Worldsemi',
  model: 'WS2812B',
  datasheet: 'Worldsemi WS2812B data sheet (2016), data transfer time',
  connection: { bus: 'spi' },
  options: {
    count: { type: 'number', min: 1, max: ledsMax, default: 30, help: 'how many LEDs' },
    order: {
      type: 'choice',
      choices: ['grb', 'rgb'],
      default: 'grb',
      help: 'order of the colours on the wire',
    },
    currentMaxMa: {
      type: 'number',
      min: 50,
      max: 10_000,
      default: 500,
      unit: 'mA',
      help: 'what the power supply gives the strip; it is never brighter than that',
    },
  },
  kind: () => 'light',
  features: () => ['brightness', 'rgb'],
  outputs(options) {
    if (lightBudgetMa(options) <= 0)
      throw new HalError(
        'out-of-range',
        `led-strip: currentMaxMa: ${options['count']} LEDs draw ${Number(options['count']) * mADark} mA while dark`,
      )
    return [
      { name: 'on', type: 'binary', safe: 0, min: 0, max: 1 },
      { name: 'brightness', type: 'number', safe: 255, min: 1, max: 255 },
      { name: 'red', type: 'number', safe: 255, min: 0, max: 255 },
      { name: 'green', type: 'number', safe: 255, min: 0, max: 255 },
      { name: 'blue', type: 'number', safe: 255, min: 0, max: 255 },
    ]
  },
  plan(command) {
    const fields = new CommandFields('led-strip', command, ['state', 'brightness', 'rgb_color'])
    const brightness = fields.number('brightness', 0, 255)
    const rgb = fields.rgb('rgb_color')
    if (fields.oneOf('state', ['on', 'off']) === 'off' || brightness === 0) return { on: 0 }
    return {
      on: 1,
      ...(brightness === undefined ? {} : { brightness: Math.max(1, Math.round(brightness)) }),
      ...(rgb ? { red: rgb[0], green: rgb[1], blue: rgb[2] } : {}),
    }
  },
  telemetry(values, options) {
    const brightness = affordable(values, options)
    const wanted = values['brightness'] ?? 0
    return {
      state: values['on'] === 1 ? 'on' : 'off',
      attributes: {
        brightness,
        rgb_color: colours(values),
        ...(brightness < wanted ? { limited_by: 'currentMaxMa' } : {}),
      },
    }
  },
  async open({ io, at, options }) {
    return new StripPort(io.spi({ bus: at.bus ?? '', hz, mode: 0 }), options)
  },
}

function lightBudgetMa(options: Options): number {
  return Number(options['currentMaxMa']) - Number(options['count']) * mADark
}

function colours(values: OutputValues): [number, number, number] {
  return [values['red'] ?? 0, values['green'] ?? 0, values['blue'] ?? 0]
}

/** The brightness as far as the power supply can give it. */
function affordable(values: OutputValues, options: Options): number {
  const wanted = values['brightness'] ?? 0
  const sum = colours(values).reduce((total, level) => total + level, 0)
  const wantedMa = (sum / 255) * (wanted / 255) * mAPerColour * Number(options['count'])
  return Math.floor(wanted * Math.min(1, wantedMa === 0 ? 1 : lightBudgetMa(options) / wantedMa))
}

class StripPort implements OutputPort {
  readonly #spi: Spi
  readonly #options: Options
  #values: OutputValues = {}

  constructor(spi: Spi, options: Options) {
    this.#spi = spi
    this.#options = options
  }

  write(values: OutputValues): void {
    this.#values = { ...this.#values, ...values }
    const brightness = this.#values['on'] === 1 ? affordable(this.#values, this.#options) : 0
    const [red, green, blue] = colours(this.#values).map((level) => Math.floor((level * brightness) / 255))
    const wire = this.#options['order'] === 'rgb' ? [red, green, blue] : [green, red, blue]
    const led = wire.flatMap((level) => encoded[level ?? 0] ?? [])
    const count = Number(this.#options['count'])
    // Low before the first bit as well: some controllers leave MOSI high between transfers.
    const bytes = new Uint8Array(1 + count * led.length + pauseBytes)
    for (let n = 0; n < count; n++) bytes.set(led, 1 + n * led.length)
    this.#spi.write(bytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#spi.close()
  }
}
