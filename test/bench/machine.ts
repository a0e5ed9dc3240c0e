/** The machine that was measured on, and how busy it was: figures without it say nothing. */
import os from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly os: string
  readonly arch: string
  readonly node: string
  /** Over the last minute, before the first measurement. Above the number of cores, figures suffer. */
  readonly loadAverage: number
}

export function thisMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() || 'unknown CPU',
    cores: os.availableParallelism(),
    memoryGb: Math.round(os.totalmem() / 1e8) / 10,
    os: `${os.type()} ${os.release()}`,
    arch: os.arch(),
    node: process.versions.node,
    loadAverage: Math.round((os.loadavg()[0] ?? 0) * 100) / 100,
  }
}
