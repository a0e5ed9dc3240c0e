/**
 * Registers of an MCP23017 and what they ought to hold. Bits 0 to 7 are port A, 8 to 15 port B; both are written in one transfer.
 *
 * Before every access the chip is asked whether it is still configured: one that lost its power has all pins as inputs. It is
 * then given its SAFE values (those that its outputs were opened with), and the access fails with one line that says so.
 *
 * Source: Microchip DS20001952C, 3.2.1 (byte and sequential mode), 3.5 (registers), table 3-5.
 */
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'

/** With IOCON.BANK = 0; each has its twin for port B right behind it. */
const registers = { iodir: 0x00, defval: 0x06, iocon: 0x0a, gppu: 0x0c, gpio: 0x12, olat: 0x14 } as const
/** Where IOCON is while IOCON.BANK is 1; with BANK = 0 it is GPINTENB, which 0 leaves at its default. */
const ioconInBanks = 0x05
/**
 * Kept in DEFVAL, which is 0 at power-on and counts only with interrupts (3.5.4), which are not used: a mark by which a
 * lost configuration is noticed, even where all pins are inputs.
 */
const mark = 0x5aa5

export class Mcp23017Registers {
  readonly #id: string
  readonly #i2c: I2c
  #inputs = 0xffff
  #pullUps = 0
  #latch = 0
  /** Levels of the outputs that are safe. */
  #safe = 0

  constructor(id: string, i2c: I2c) {
    this.#id = id
    this.#i2c = i2c
  }

  setUp(): void {
    // Whatever a program before left there, BANK is 0 after this.
    this.#i2c.write(Uint8Array.of(ioconInBanks, 0))
    this.#configure()
  }

  /** Makes these pins outputs, with levels that are their safe ones from now on. */
  beginOutputs(bits: number, levels: number): void {
    this.#check()
    this.#latch = (this.#latch & ~bits) | (levels & bits)
    this.#safe = (this.#safe & ~bits) | (levels & bits)
    this.#inputs &= ~bits
    this.#configure()
  }

  beginInputs(bits: number, pullUps: boolean): void {
    this.#check()
    this.#inputs |= bits
    this.#pullUps = pullUps ? this.#pullUps | bits : this.#pullUps & ~bits
    this.#configure()
  }

  write(bits: number, levels: number): void {
    this.#check()
    const latch = (this.#latch & ~bits) | (levels & bits)
    this.#put(registers.olat, latch)
    this.#latch = latch
  }

  /** Levels of all pins. */
  levels(): number {
    this.#check()
    return this.#get(registers.gpio)
  }

  /** The output latches as the chip has them. */
  latches(): number {
    this.#check()
    return this.#get(registers.olat)
  }

  #check(): void {
    // IODIR and DEFVAL of both ports, and what is between them.
    const [a = 0, b = 0, , , , , markA = 0, markB = 0] = this.#i2c.writeRead(
      Uint8Array.of(registers.iodir),
      8,
    )
    if ((a | (b << 8)) === this.#inputs && (markA | (markB << 8)) === mark) return
    this.#latch = this.#safe
    this.#configure()
    throw new HalError(
      'other',
      `${this.#id}: it had lost its power or was reset; its outputs are at their safe values again`,
    )
  }

  /** Latches before directions: an output never shows another level than its first. */
  #configure(): void {
    // BANK = 0, SEQOP = 0: the address goes on by itself, so both ports are one transfer (3.2.1).
    this.#i2c.write(Uint8Array.of(registers.iocon, 0))
    this.#put(registers.olat, this.#latch)
    this.#put(registers.gppu, this.#pullUps)
    this.#put(registers.iodir, this.#inputs)
    this.#put(registers.defval, mark)
  }

  #put(register: number, value: number): void {
    this.#i2c.write(Uint8Array.of(register, value & 0xff, (value >> 8) & 0xff))
  }

  #get(register: number): number {
    const [a = 0, b = 0] = this.#i2c.writeRead(Uint8Array.of(register), 2)
    return a | (b << 8)
  }
}
