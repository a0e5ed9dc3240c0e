/**
 * LEDs of the board (kernel: Documentation/leds/leds-class.rst), as outputs that need no wiring: pin `led:ACT` is a digital
 * output or a PWM. The kernel's own trigger (SD card activity, heartbeat) is taken off while it is open and put back
 * by `close`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import type { Digital, DigitalBank, DigitalBankOptions, DigitalOptions, PinRef, Pwm } from '../contract/io.ts'
import { fsError } from './errno.ts'
import { writeAttribute } from './sysfs-write.ts'

const prefix = 'led:'

/** Name of the LED, where the pin is one: `ACT` of `led:ACT`. */
export function ledOf(pin: PinRef): string | undefined {
  return typeof pin === 'string' && pin.startsWith(prefix) ? pin.slice(prefix.length) : undefined
}

/** Names of the LEDs that the kernel knows. */
export function listLeds(sys: string): string[] {
  const root = ledsFolder(sys)
  return existsSync(root) ? readdirSync(root).sort() : []
}

export function openLedDigital(
  sys: string,
  name: string,
  { mode, activeLow, initial }: DigitalOptions,
): Digital {
  if (!mode.startsWith('output')) throw new HalError('unsupported', `LED ${name} is an output only`)
  const led = Led.open(sys, name)
  const inverted = activeLow ? 1 : 0
  const write = (value: number) => led.write((value ^ inverted) === 0 ? 0 : led.levelMax)
  write(initial ?? 0)
  return {
    read: () => ((led.read() > 0 ? 1 : 0) === inverted ? 0 : 1),
    write,
    close: () => led.close(),
  }
}

/** A bank of one: LEDs cannot be written together, and no bank promises what it cannot keep. */
export function openLedBank(
  sys: string,
  names: readonly string[],
  { pins, mode }: DigitalBankOptions,
): DigitalBank {
  const [name] = names
  const [place] = pins
  if (name === undefined || !place || pins.length > 1)
    throw new HalError(
      'unsupported',
      `LEDs ${names.join(', ')}: one bank cannot hold an LED and another line`,
    )
  const led = openLedDigital(sys, name, { ...place, mode })
  return {
    read: () => led.read(),
    write: (value, mask = 1) => {
      if (mask & 1) led.write((value & 1) as 0 | 1)
    },
    close: () => led.close(),
  }
}

/** The kernel's LED class has brightness levels, not a frequency: `hz` is what was asked for. */
export function openLedPwm(sys: string, name: string, hz: number): Pwm {
  const led = Led.open(sys, name)
  const resolution = Math.max(1, Math.floor(Math.log2(led.levelMax + 1)))
  const full = 2 ** resolution - 1
  return {
    resolution,
    hz,
    write: (duty) => {
      if (!(duty >= 0 && duty <= full))
        throw new HalError('out-of-range', `LED ${name}: duty ${duty} is not 0 to ${full}`)
      led.write(Math.round((duty / full) * led.levelMax))
    },
    read: () => Math.round((led.read() / led.levelMax) * full),
    close: () => led.close(),
  }
}

class Led {
  readonly levelMax: number
  readonly #where: string
  readonly #folder: string
  readonly #trigger: string | undefined
  #closed = false

  private constructor(name: string, folder: string) {
    this.#where = `LED ${name}`
    this.#folder = folder
    this.levelMax = Number(this.#text('max_brightness'))
    // The active one is in brackets: `none [mmc0] timer`.
    this.#trigger = existsSync(join(folder, 'trigger'))
      ? /\[(.+)\]/.exec(this.#text('trigger'))?.[1]
      : undefined
  }

  static open(sys: string, name: string): Led {
    const known = listLeds(sys)
    if (!known.includes(name))
      throw new HalError('not-present', `there is no LED ${name}, there are: ${known.join(', ') || 'none'}`)
    const led = new Led(name, join(ledsFolder(sys), name))
    if (led.#trigger !== undefined) led.#set('trigger', 'none')
    return led
  }

  read(): number {
    this.#requireOpen()
    return Number(this.#text('brightness'))
  }

  write(level: number): void {
    this.#requireOpen()
    this.#set('brightness', String(level))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#set('brightness', '0')
    if (this.#trigger !== undefined) this.#set('trigger', this.#trigger)
  }

  #set(attribute: string, value: string): void {
    writeAttribute(this.#where, join(this.#folder, attribute), value)
  }

  #text(attribute: string): string {
    const path = join(this.#folder, attribute)
    try {
      return readFileSync(path, 'utf8').trim()
    } catch (error) {
      throw fsError(error, this.#where, path)
    }
  }

  #requireOpen(): void {
    if (this.#closed) throw new HalError('closed', `${this.#where} is closed`)
  }
}

const ledsFolder = (sys: string) => join(sys, 'class', 'leds')
