/**
 * Connects an emulated part's pins to the computer's lines, and to pins of emulated expanders. While a part is unplugged its
 * lines float; what it drives meanwhile reaches them when it is back.
 */

import type { PinRef } from '../../contract/io.ts'
import { providerPin } from '../../drivers/provider-registry.ts'
import type { AttachedPart } from './attached-part.ts'
import type { EmulatedLine, Level } from './emulated-line.ts'

/** A pin of this part that hangs on another emulated part. */
interface ProvidedEnd {
  readonly pin: string
  readonly provider: string
  readonly number: number
  seen: number | undefined
}

export class PartLines {
  readonly #part: AttachedPart
  readonly #lines = new Map<string, EmulatedLine>()
  readonly #provided: ProvidedEnd[] = []
  readonly #driven = new Map<string, Level>()
  readonly #provider: (id: string) => AttachedPart | undefined
  #stop: (() => void) | undefined

  constructor(
    part: AttachedPart,
    line: (pin: PinRef) => EmulatedLine,
    provider: (id: string) => AttachedPart | undefined,
  ) {
    this.#part = part
    this.#provider = provider
    for (const [name, reference] of Object.entries(part.at.pins)) {
      const place = providerPin(reference)
      if (place) this.#provided.push({ pin: name, provider: place.id, number: place.pin, seen: undefined })
      else this.#lines.set(name, line(reference))
    }
  }

  lines(): readonly EmulatedLine[] {
    return [...this.#lines.values()]
  }

  connect(): void {
    const { pins } = this.#part.part
    for (const [name, line] of this.#lines) {
      line.end = {
        written: (level) => this.#whenWired(() => pins?.written(name, level)),
        dutyWritten: (duty, hz) => this.#whenWired(() => pins?.dutyWritten?.(name, duty, hz)),
      }
    }
    this.#stop = pins?.start((name, level, atMs) => this.#drive(name, level, atMs))
    this.tellAll()
  }

  disconnect(): void {
    this.#stop?.()
    for (const line of this.#lines.values()) {
      line.end = undefined
      line.drive(undefined)
    }
  }

  /** The wires broke or were mended. */
  faultChanged(): void {
    const kind = this.#part.fault()?.kind
    if (kind === 'stuck') return
    for (const [name, line] of this.#lines) {
      if (kind === 'unplugged' || kind === 'no-acknowledge') line.drive(undefined)
      else line.drive(kind === 'all-ones' ? 1 : this.#driven.get(name))
    }
    if (kind === undefined) this.tellAll()
  }

  /** Another part may have changed its pins: passes on what is new on the ones that this part hangs on. */
  providerTransferred(id: string): void {
    for (const end of this.#provided) {
      if (end.provider !== id) continue
      const provider = this.#provider(id)?.part
      const value = provider?.provided?.seen(end.number)
      if (value === undefined || value === end.seen) continue
      end.seen = value
      const { connection, part } = this.#part
      const use = connection.bus === 'one-wire' ? undefined : connection.pins?.[end.pin]?.use
      if (use === 'pwm') part.pins?.dutyWritten?.(end.pin, value, provider?.world()['hz'] ?? 0)
      else part.pins?.written(end.pin, value === 0 ? 0 : 1)
    }
  }

  tellAll(): void {
    for (const line of this.#lines.values()) line.tellEnd()
  }

  #drive(name: string, level: Level, atMs?: number): void {
    this.#driven.set(name, level)
    this.#whenWired(() => {
      this.#lines.get(name)?.drive(level, atMs)
      for (const end of this.#provided)
        if (end.pin === name) this.#provider(end.provider)?.part.provided?.drive(end.number, level)
    })
  }

  #whenWired(act: () => void): void {
    if (this.#part.fault() === undefined || this.#part.fault()?.kind === 'corrupt') act()
  }
}
