/**
 * Finds a GPIO line by its chip's label and its own name, as the device tree gives them: chip numbers change with the
 * kernel. What was found is remembered; a miss looks again, since expanders on USB come and go.
 */
import { closeSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { HalError } from '../contract/errors.ts'
import { fsError, systemError } from './errno.ts'
import { type ChipInfo, newChipInfo, newLineInfo, readChipInfo, readLineInfo, requests } from './gpio-abi.ts'
import { ioctl } from './libc.ts'

export interface GpioLine {
  /** Label of the chip. */
  readonly chip: string
  /** Its device node. */
  readonly path: string
  readonly offset: number
  /** As the configuration or the board names it, for messages. */
  readonly name: string
}

/** What to look for. `offset` is used where no line has the name. */
export interface LineQuery {
  readonly chip: string
  readonly line: string | number
  readonly offset?: number | undefined
  readonly name: string
}

interface Chip extends ChipInfo {
  readonly path: string
  /** Offsets by line name; of equal names the first counts. */
  readonly offsets: ReadonlyMap<string, number>
}

export class GpioChips {
  readonly #dev: string
  #chips: readonly Chip[] | undefined
  #unreadable: unknown

  constructor(dev: string) {
    this.#dev = dev
  }

  /** Throws HalError `not-present` naming the chips that there are, `permission`. */
  find(query: LineQuery): GpioLine {
    const found = this.#among(this.#chips ?? [], query) ?? this.#among(this.#scan(), query)
    if (found) return found
    // A chip that could not be looked at may be the one.
    if (this.#unreadable) throw this.#unreadable
    const chips = this.#chips ?? []
    const labelled = chips.some(({ label }) => label === query.chip)
    throw new HalError(
      'not-present',
      labelled
        ? `${query.name}: chip ${query.chip} has no line ${query.line}`
        : `${query.name}: there is no GPIO chip ${query.chip}, ${known(chips)}`,
    )
  }

  /** `<chip label>/<line name>` or `<chip label>#<offset>`, for machines whose headers nobody described. */
  findText(text: string): GpioLine {
    const chips = this.#scan()
    const chip = chips.find(({ label }) => text.startsWith(`${label}/`) || text.startsWith(`${label}#`))
    if (!chip)
      throw (
        this.#unreadable ??
        new HalError(
          'not-present',
          `${text}: no GPIO line is called so; a line is <chip>/<line name> or <chip>#<offset>, ${known(chips)}`,
        )
      )
    const line = text.slice(chip.label.length + 1)
    const byOffset = text[chip.label.length] === '#'
    return this.find({ chip: chip.label, line: byOffset ? Number(line) : line, name: text })
  }

  /** Who holds a line, as they called themselves; empty when free or unnamed. */
  consumer(line: GpioLine): string {
    return withNode(line.path, (fd) => {
      const info = newLineInfo(line.offset)
      return ioctl(fd, requests.lineInfo, info) === 0 ? readLineInfo(info).consumer : ''
    })
  }

  #among(chips: readonly Chip[], { chip, line, offset, name }: LineQuery): GpioLine | undefined {
    for (const { label, path, lines, offsets } of chips) {
      if (label !== chip) continue
      const at = typeof line === 'number' ? line : (offsets.get(line) ?? offset)
      if (at !== undefined && Number.isInteger(at) && at >= 0 && at < lines)
        return { chip, path, offset: at, name }
    }
    return undefined
  }

  #scan(): readonly Chip[] {
    const nodes = readdirSync(this.#dev).filter((name) => /^gpiochip\d+$/.test(name))
    const byName = new Map<string, Chip>()
    this.#unreadable = undefined
    // Sorted, and by the kernel's name: a Raspberry Pi 5 has gpiochip4 as a link to gpiochip0.
    for (const node of nodes.sort()) {
      try {
        const chip = readChip(join(this.#dev, node))
        if (!byName.has(chip.name)) byName.set(chip.name, chip)
      } catch (error) {
        this.#unreadable ??= error
      }
    }
    this.#chips = [...byName.values()]
    return this.#chips
  }
}

function known(chips: readonly Chip[]): string {
  return chips.length === 0 ? 'there are none' : `there are: ${chips.map(({ label }) => label).join(', ')}`
}

function readChip(path: string): Chip {
  return withNode(path, (fd) => {
    const info = newChipInfo()
    const failed = ioctl(fd, requests.chipInfo, info)
    if (failed !== 0) throw systemError(failed, path, path)
    const chip = readChipInfo(info)
    return { ...chip, path, offsets: readNames(fd, chip.lines) }
  })
}

function readNames(fd: number, lines: number): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>()
  for (let offset = 0; offset < lines; offset += 1) {
    const info = newLineInfo(offset)
    if (ioctl(fd, requests.lineInfo, info) !== 0) continue
    const { name } = readLineInfo(info)
    if (name !== '' && !offsets.has(name)) offsets.set(name, offset)
  }
  return offsets
}

/** The node is open only while `use` runs: requested lines have descriptors of their own. */
export function withNode<Result>(path: string, use: (fd: number) => Result): Result {
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    throw fsError(error, path, path)
  }
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
