/**
 * One look at what this machine is, for status pages. Uses systeminformation, which costs 10 MB to load and starts
 * child processes: call it once, never in a loop.
 */
export interface Inventory {
  readonly manufacturer: string
  readonly model: string
  readonly virtual: boolean
  readonly os: { readonly distribution: string; readonly release: string; readonly kernel: string }
  readonly cpu: { readonly brand: string; readonly cores: number }
  readonly memoryBytes: number
}

/** Takes the inventory. Serial numbers are left out on purpose: they identify a household. */
export async function takeInventory(): Promise<Inventory> {
  const { default: information } = await import('systeminformation')
  const [system, os, cpu, memory] = await Promise.all([
    information.system(),
    information.osInfo(),
    information.cpu(),
    information.mem(),
  ])
  return {
    manufacturer: system.manufacturer,
    model: system.model,
    virtual: system.virtual,
    os: { distribution: os.distro, release: os.release, kernel: os.kernel },
    cpu: { brand: cpu.brand, cores: cpu.cores },
    memoryBytes: memory.total,
  }
}
