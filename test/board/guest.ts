/**
 * One emulated Raspberry Pi 3: a shell on its serial console, QMP for what a hand would do to the board, and its GPIO
 * registers (BCM2835 ARM Peripherals, section 6.1) read past everything that runs inside.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type Downloads, toolCommand } from './downloads.ts'
import { readyLine } from './image.ts'

/** GPIO registers of the BCM2837 as the CPU sees them. */
const gpioBase = 0x3f20_0000
const levelRegister = 0x34
const bootMsMax = 120_000
const commandMsMax = 60_000
/** Before lines that the emulator says, not the guest. */
const ofEmulator = 'qemu: '

export interface Line {
  /** The chip drives it. */
  readonly output: boolean
  readonly level: 0 | 1
}

export class Guest implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #console: string[] = []
  readonly #waiting = new Set<() => void>()
  readonly #qmp: Qmp
  #commands = 0

  private constructor(child: ChildProcess, qmp: Qmp) {
    this.#child = child
    this.#qmp = qmp
  }

  static async boot(downloads: Downloads, image: { folder: string; initrd: string }): Promise<Guest> {
    const socket = join(image.folder, 'qmp.sock')
    const { file, args } = toolCommand(downloads.tools, 'usr/bin/qemu-system-aarch64')
    const child = spawn(file, [...args, ...qemuOptions(downloads, image.initrd, socket)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const qmp = new Qmp(socket)
    const guest = new Guest(child, qmp)
    guest.#listen()
    try {
      await guest.#line((line) => line.includes(readyLine), bootMsMax, 'booting')
      await qmp.open()
    } catch (error) {
      await guest[Symbol.asyncDispose]()
      throw error
    }
    return guest
  }

  /** Runs a command of the guest's shell. Throws when it fails, with what it printed. */
  async run(command: string, msMax = commandMsMax): Promise<string> {
    const mark = `--- ${++this.#commands}`
    const from = this.#console.length
    this.#child.stdin?.write(`${command}\necho "${mark} $?"\n`)
    const end = await this.#line((line) => line.startsWith(mark), msMax, command)
    const lines = this.#console.slice(from, this.#console.lastIndexOf(end))
    const printed = lines.filter((line) => !line.startsWith(ofEmulator)).join('\n')
    if (end !== `${mark} 0`)
      throw new Error(`in the guest: ${command}: ended with ${end.slice(mark.length + 1)}\n${printed}`)
    return printed
  }

  /** Waits until the guest prints a line that fits. */
  printed(fits: (line: string) => boolean, msMax: number, what: string): Promise<string> {
    return this.#line(fits, msMax, what)
  }

  /** Writes a file of the guest. */
  async write(path: string, text: string): Promise<void> {
    await this.run(`cat > ${path} <<'END-OF-FILE'\n${text}\nEND-OF-FILE`)
  }

  /** What the thermometer on I2C bus 1 at 0x48 is exposed to. */
  async setTemperature(celsius: number): Promise<void> {
    await this.#qmp.execute('qom-set', {
      path: '/machine/peripheral/t0',
      property: 'temperature',
      value: Math.round(celsius * 1000),
    })
  }

  /** The line as the chip has it. */
  async gpio(pin: number): Promise<Line> {
    const select = await this.#register(4 * Math.floor(pin / 10))
    const level = await this.#register(levelRegister + 4 * Math.floor(pin / 32))
    return { output: ((select >> (3 * (pin % 10))) & 7) === 1, level: (level >> (pin % 32)) & 1 ? 1 : 0 }
  }

  async #register(offset: number): Promise<number> {
    const address = `0x${(gpioBase + offset).toString(16)}`
    const answer = await this.#qmp.execute('human-monitor-command', { 'command-line': `xp /1wx ${address}` })
    const value = /: (0x[0-9a-f]+)/.exec(String(answer))?.[1]
    if (value === undefined) throw new Error(`the emulator did not show ${address}: ${String(answer)}`)
    return Number(value)
  }

  #listen(): void {
    const { stdout, stderr } = this.#child
    if (!stdout || !stderr) throw new Error('QEMU was started without pipes')
    const listen = (stream: Readable, before: string) =>
      createInterface({ input: stream }).on('line', (line) => {
        this.#console.push(`${before}${line.replaceAll('\r', '')}`)
        for (const look of this.#waiting) look()
      })
    listen(stdout, '')
    listen(stderr, ofEmulator)
    this.#child.on('exit', () => {
      for (const look of this.#waiting) look()
    })
  }

  #line(fits: (line: string) => boolean, msMax: number, what: string): Promise<string> {
    const from = this.#console.length
    return new Promise((resolve, reject) => {
      const end = (why: string) =>
        fail(new Error(`${what}: ${why}; the console's end:\n${this.#console.slice(-20).join('\n')}`))
      const timer = setTimeout(() => end(`nothing within ${msMax / 1000} s`), msMax)
      const stop = () => {
        clearTimeout(timer)
        this.#waiting.delete(look)
      }
      const fail = (error: Error) => {
        stop()
        reject(error)
      }
      const look = () => {
        const found = this.#console.slice(from).find(fits)
        if (found !== undefined) {
          stop()
          resolve(found)
        } else if (this.#child.exitCode !== null || this.#child.signalCode !== null) end('the emulator ended')
      }
      this.#waiting.add(look)
      look()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#qmp.close()
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

function qemuOptions({ tools, guest, kernelVersion }: Downloads, initrd: string, qmp: string): string[] {
  return [
    ...['-L', join(tools, 'usr', 'share', 'qemu'), '-M', 'raspi3b', '-display', 'none'],
    ...['-kernel', join(guest, 'boot', `vmlinuz-${kernelVersion}`), '-initrd', initrd],
    ...['-dtb', join(guest, 'usr', 'lib', `linux-image-${kernelVersion}`, 'broadcom', 'bcm2837-rpi-3-b.dtb')],
    ...['-append', 'console=ttyS1,115200 rdinit=/init quiet'],
    ...['-device', 'tmp105,bus=i2c-bus.1,address=0x48,id=t0'],
    ...['-netdev', 'user,id=n0,ipv6=off', '-device', 'usb-net,netdev=n0'],
    ...['-serial', 'null', '-serial', 'stdio', '-qmp', `unix:${qmp},server=on,wait=off`],
  ]
}

/** QEMU's machine protocol: one JSON object a line, answers in the order of the questions. */
class Qmp {
  readonly #path: string
  #socket: Socket | undefined
  readonly #answers: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = []

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<void> {
    this.#socket = createConnection(this.#path)
    this.#socket.on('close', () => {
      for (const { reject } of this.#answers.splice(0)) reject(new Error('the emulator closed QMP'))
    })
    createInterface({ input: this.#socket }).on('line', (line) => {
      const message = JSON.parse(line)
      if ('return' in message) this.#answers.shift()?.resolve(message.return)
      else if ('error' in message) this.#answers.shift()?.reject(new Error(message.error.desc))
    })
    await once(this.#socket, 'connect')
    await this.execute('qmp_capabilities')
  }

  execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#socket?.writable) return reject(new Error('QMP is not open'))
      this.#answers.push({ resolve, reject })
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
    })
  }

  close(): void {
    this.#socket?.destroy()
  }
}
