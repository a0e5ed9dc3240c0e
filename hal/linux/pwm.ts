/**
 * Hardware PWM through sysfs (kernel: Documentation/driver-api/pwm.rst, Documentation/ABI/testing/sysfs-class-pwm). The
 * chip is found by its controller's address: its number changed on the Raspberry Pi 5 from one kernel to the next.
 * Order matters: the duty may never exceed the period, and polarity changes only while disabled. Closing leaves the
 * output at duty 0 and disabled.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { BoardPwm } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { Pwm } from '../contract/io.ts'
import { writeAttribute } from './sysfs-write.ts'

const nsPerS = 1e9
/** Servos need 12 bits at 50 Hz; more than 16 no driver asks for. */
const resolutionMax = 16
/** udev gives a new channel to its group a moment after it appeared. */
const udevMsMax = 1000
const udevPollMs = 10

export interface LinuxPwmOptions {
  readonly pwm: BoardPwm
  /** Name of the pin, for messages. */
  readonly name: string
  readonly hz: number
  readonly sys: string
}

/** Throws HalError `not-present` saying what turns it on, `busy`, `permission`, `out-of-range`. */
export function openPwm({ pwm, name, hz, sys }: LinuxPwmOptions): Pwm {
  const where = `PWM on ${name}`
  const periodNs = Math.round(nsPerS / hz)
  if (!Number.isFinite(periodNs) || periodNs < 2)
    throw new HalError('out-of-range', `${where}: ${hz} Hz is no frequency that it can have`)
  const chip = findChip(sys, pwm.device)
  if (chip === undefined)
    throw new HalError('not-present', `${where} is off: ${pwm.enable ?? `turn on ${pwm.device}`}`)
  const folder = join(chip, `pwm${pwm.channel}`)
  if (!existsSync(folder)) {
    writeAttribute(where, join(chip, 'export'), String(pwm.channel))
    waitForUdev(join(folder, 'duty_cycle'))
  }
  // The kernel refuses every setting of a channel that has no period yet, and a period below the duty of one that has.
  if (Number(readText(join(folder, 'period'))) > 0) {
    writeAttribute(where, join(folder, 'enable'), '0')
    writeAttribute(where, join(folder, 'duty_cycle'), '0')
  }
  writeAttribute(where, join(folder, 'period'), String(periodNs))
  // A controller that knows one polarity has no such file, or refuses to write it.
  if (readText(join(folder, 'polarity')) === 'inversed')
    writeAttribute(where, join(folder, 'polarity'), 'normal')
  writeAttribute(where, join(folder, 'enable'), '1')
  return new SysfsPwm(where, folder, chip, pwm.channel, periodNs)
}

function findChip(sys: string, device: string): string | undefined {
  const root = join(sys, 'class', 'pwm')
  if (!existsSync(root)) return undefined
  return readdirSync(root)
    .map((name) => join(root, name))
    .find((chip) => deviceOf(chip) === device)
}

/** Name of the controller that a chip belongs to. */
function deviceOf(chip: string): string | undefined {
  try {
    return basename(readlinkSync(join(chip, 'device')))
  } catch {
    return undefined
  }
}

/** Threads that open hardware may wait; a second is over at the first write that is refused. */
function waitForUdev(path: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let waitedMs = 0; waitedMs < udevMsMax; waitedMs += udevPollMs) {
    try {
      closeSync(openSync(path, 'r+'))
      return
    } catch {
      Atomics.wait(pause, 0, 0, udevPollMs)
    }
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

class SysfsPwm implements Pwm {
  readonly resolution: number
  readonly hz: number
  readonly #where: string
  readonly #folder: string
  readonly #chip: string
  readonly #channel: number
  readonly #periodNs: number
  #closed = false

  constructor(where: string, folder: string, chip: string, channel: number, periodNs: number) {
    this.#where = where
    this.#folder = folder
    this.#chip = chip
    this.#channel = channel
    this.#periodNs = periodNs
    this.hz = nsPerS / periodNs
    this.resolution = Math.min(resolutionMax, Math.floor(Math.log2(periodNs)))
  }

  write(duty: number): void {
    this.#requireOpen()
    if (!(duty >= 0 && duty <= this.#full))
      throw new HalError('out-of-range', `${this.#where}: duty ${duty} is not 0 to ${this.#full}`)
    this.#set('duty_cycle', Math.round((duty / this.#full) * this.#periodNs))
  }

  read(): number {
    this.#requireOpen()
    const path = join(this.#folder, 'duty_cycle')
    const dutyNs = Number(readText(path) ?? Number.NaN)
    if (!Number.isFinite(dutyNs)) throw new HalError('not-present', `${this.#where}: ${path} cannot be read`)
    return Math.round((dutyNs / this.#periodNs) * this.#full)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#set('duty_cycle', 0)
    this.#set('enable', 0)
    writeAttribute(this.#where, join(this.#chip, 'unexport'), String(this.#channel))
  }

  #set(attribute: string, value: number): void {
    writeAttribute(this.#where, join(this.#folder, attribute), String(value))
  }

  get #full(): number {
    return 2 ** this.resolution - 1
  }

  #requireOpen(): void {
    if (this.#closed) throw new HalError('closed', `${this.#where} is closed`)
  }
}
