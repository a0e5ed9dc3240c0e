/**
 * What to do where the kernel says "permission denied". Distributions give each kind of device node to a group
 * (Raspberry Pi OS: 99-com.rules; Debian: dialout, video, audio, input): joining it is enough. Where the node belongs to
 * root alone there is no group yet, and a udev rule makes one.
 */
import { readFileSync, type Stats, statSync } from 'node:fs'
import { basename } from 'node:path'

interface NodeKind {
  readonly pattern: RegExp
  readonly group: string
  readonly subsystem: string
}

const kinds: readonly NodeKind[] = [
  { pattern: /^gpiochip\d+$/, group: 'gpio', subsystem: 'gpio' },
  { pattern: /^i2c-\d+$/, group: 'i2c', subsystem: 'i2c-dev' },
  { pattern: /^spidev\d+\.\d+$/, group: 'spi', subsystem: 'spidev' },
  { pattern: /^tty/, group: 'dialout', subsystem: 'tty' },
  { pattern: /^watchdog\d*$/, group: 'watchdog', subsystem: 'watchdog' },
  { pattern: /^iio:device\d+$/, group: 'iio', subsystem: 'iio' },
  { pattern: /^video\d+$/, group: 'video', subsystem: 'video4linux' },
  { pattern: /^event\d+$/, group: 'input', subsystem: 'input' },
  { pattern: /^(pcm|control)C\d/, group: 'audio', subsystem: 'sound' },
]

/** One line: why this node cannot be used, and the command that changes it. */
export function permissionAdvice(path: string): string {
  const kind = kinds.find(({ pattern }) => pattern.test(basename(path)))
  const stat = statSync(path, { throwIfNoEntry: false })
  const group = stat ? groupThatMayWrite(stat) : kind?.group
  if (group !== undefined) return `no permission; run: sudo usermod -aG ${group} $USER and log in again`
  if (!kind) return 'no permission; run as a user who may write it, or give it to a group with a udev rule'
  const rule = `SUBSYSTEM=="${kind.subsystem}", GROUP="${kind.group}", MODE="0660"`
  return (
    `no permission, it belongs to root alone; run: sudo groupadd -f ${kind.group}; ` +
    `sudo usermod -aG ${kind.group} $USER; echo '${rule}' | ` +
    `sudo tee /etc/udev/rules.d/60-ganglion-${kind.group}.rules; then restart the machine`
  )
}

const groupMayWrite = 0o020

function groupThatMayWrite({ gid, mode }: Stats): string | undefined {
  return gid === 0 || (mode & groupMayWrite) === 0 ? undefined : groupName(gid)
}

/** From /etc/group (group(5)): name:password:number:members. */
function groupName(gid: number): string | undefined {
  try {
    const lines = readFileSync('/etc/group', 'utf8').split('\n')
    return lines.find((line) => line.split(':')[2] === String(gid))?.split(':')[0]
  } catch {
    return undefined
  }
}
