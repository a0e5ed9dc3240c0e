/** Made-up machines for `doctor`: what /sys, /proc and /dev of a Pi 5, an Orin and a laptop look like, built in a folder. */
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { boards } from '../../../../boards/index.ts'
import type { Examination } from '../../../../hal/contract/examination.ts'
import type { HostClock } from '../../../../hal/contract/host.ts'
import { type ExamineOptions, examine } from '../../../../hal/doctor/examine.ts'
import type { Roots } from '../../../../hal/linux/board-detect.ts'

/** Group of the nodes that are not everybody's: this process's own, or one that root can give away. */
export const nodeGid = process.getgid?.() || 998
/** Somebody who is in no group that matters. */
export const stranger = { uid: 12_345, gids: [12_345] }

/** Deadlines never come: everything here answers at once. */
export const patientClock: HostClock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  after: () => () => {},
}

export class Machine implements AsyncDisposable {
  readonly roots: Roots
  readonly groupFile: string
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.roots = { proc: join(folder, 'proc'), sys: join(folder, 'sys'), dev: join(folder, 'dev') }
    this.groupFile = join(folder, 'group')
  }

  static async build(files: Readonly<Record<string, string>>, nodes: readonly string[]): Promise<Machine> {
    const machine = new Machine(await mkdtemp(join(tmpdir(), 'doctor-')))
    for (const [path, text] of Object.entries(files)) await machine.write(path, text)
    for (const name of nodes) await machine.node(name)
    await machine.write('group', `root:x:0:\ni2c:x:${nodeGid}:\nstranger:x:12345:\n`)
    return machine
  }

  async write(path: string, text: string): Promise<void> {
    const full = join(this.#folder, path)
    await mkdir(dirname(full), { recursive: true })
    await writeFile(full, text)
  }

  /** A node that everybody may use, or one for a group. */
  async node(name: string, mode = 0o666): Promise<void> {
    await this.write(join('dev', name), '')
    const path = join(this.roots.dev, name)
    await chmod(path, mode)
    if (process.getgid?.() === 0) await chown(path, 0, nodeGid)
  }

  async link(path: string, to: string): Promise<void> {
    const full = join(this.#folder, path)
    await mkdir(dirname(full), { recursive: true })
    await symlink(to, full)
  }

  examine(options: Partial<ExamineOptions> = {}): Promise<Examination> {
    return examine({
      boards,
      host: { clock: patientClock },
      probeBuses: true,
      roots: this.roots,
      arch: 'arm64',
      user: stranger,
      groupFile: this.groupFile,
      askChip: () => undefined,
      askI2c: () => [],
      ...options,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const meminfo = (totalKb: number, availableKb: number) =>
  `MemTotal:       ${totalKb} kB\nMemFree:        1000 kB\nMemAvailable:   ${availableKb} kB\n`

export async function pi5(): Promise<Machine> {
  const platform = 'sys/bus/platform/devices'
  const machine = await Machine.build(
    {
      'proc/device-tree/compatible': 'raspberrypi,5-model-b\0brcm,bcm2712\0',
      'proc/meminfo': meminfo(8_245_000, 6_100_000),
      [`${platform}/1f00074000.i2c/i2c-1/name`]: 'Synopsys DesignWare I2C adapter',
      [`${platform}/1f00050000.spi/spi_master/spi0/uevent`]: '',
      [`${platform}/1f00030000.serial/tty/ttyAMA0/uevent`]: '',
      'sys/bus/w1/devices/w1_bus_master1/w1_master_slave_count': '1',
      'sys/bus/w1/devices/28-0000075a1b2c/w1_slave': '',
      'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
      'sys/class/thermal/thermal_zone0/temp': '52350\n',
      'sys/class/hwmon/hwmon1/name': 'rpi_volt\n',
      'sys/class/hwmon/hwmon1/in0_lcrit_alarm': '0\n',
      'sys/class/watchdog/watchdog0/identity': 'Broadcom BCM2835 Watchdog timer\n',
      'sys/class/watchdog/watchdog0/timeout': '15\n',
      'sys/class/watchdog/watchdog0/state': 'inactive\n',
      'sys/class/tty/ttyAMA0/device/uevent': 'DRIVER=uart-pl011\n',
      'sys/class/tty/ttyS0/type': '0\n',
    },
    ['gpiochip0', 'gpiochip10', 'i2c-1', 'spidev0.0', 'spidev0.1', 'ttyAMA0', 'ttyS0', 'watchdog0'],
  )
  await machine.link('dev/gpiochip4', 'gpiochip0')
  return machine
}

/** Labels of the Pi 5's chips by node. */
export const pi5Chips = (path: string) =>
  path.endsWith('gpiochip0') ? 'pinctrl-rp1' : 'gpio-brcmstb@107d508500'

export function orinNano(): Promise<Machine> {
  const hwmon = 'sys/class/hwmon/hwmon2'
  const platform = 'sys/bus/platform/devices'
  return Machine.build(
    {
      'proc/device-tree/compatible':
        'nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0',
      'proc/meminfo': meminfo(7_800_000, 900_000),
      [`${platform}/17000000.gpu/of_node/compatible`]: 'nvidia,ga10b\0',
      [`${platform}/c250000.i2c/i2c-7/name`]: 'c250000.i2c',
      'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
      'sys/class/thermal/thermal_zone0/temp': '97500\n',
      'sys/class/thermal/thermal_zone1/type': 'tj-thermal\n',
      'sys/class/thermal/thermal_zone1/temp': '97800\n',
      [`${hwmon}/name`]: 'ina3221\n',
      [`${hwmon}/in1_label`]: 'VDD_IN\n',
      [`${hwmon}/in1_input`]: '5040\n',
      [`${hwmon}/curr1_input`]: '1200\n',
    },
    ['gpiochip0', 'gpiochip1', 'i2c-7'],
  )
}

export function laptop(): Promise<Machine> {
  return Machine.build(
    {
      'proc/meminfo': meminfo(16_000_000, 9_000_000),
      'sys/class/dmi/id/sys_vendor': 'LENOVO\n',
      'sys/class/dmi/id/product_name': '20XWCTO1WW\n',
      'sys/class/thermal/thermal_zone0/type': 'x86_pkg_temp\n',
      'sys/class/thermal/thermal_zone0/temp': '61000\n',
      'sys/class/tty/ttyS0/type': '0\n',
      'sys/class/tty/ttyS4/type': '4\n',
    },
    ['i2c-0', 'i2c-1', 'ttyS0', 'ttyS4', 'dri/renderD128'],
  )
}
