/**
 * One look at what this machine is, for status pages. Uses systeminformation, which costs 10 MB to load and starts
 * child processes: call it once, never in a loop.
 */
import type { Inventory } from '../contract/inventory.ts'

/** Takes the inventory. */
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
