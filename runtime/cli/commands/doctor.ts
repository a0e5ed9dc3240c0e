/**
 * `ganglion doctor`: what this machine is, who answers on its buses, what is wrong and what to do about it. Exit code 1 where
 * a finding says that something does not work; a warning is none.
 */
import type { HardwareConfig } from '../../../hal/contract/hardware-config.ts'
import { realClock } from '../../base/clock.ts'
import { loadDeviceConfig } from '../../config/config.ts'
import type { Context } from '../context.ts'
import { reportLines } from '../doctor-report.ts'
import { exitCodes } from '../exit.ts'
import { softwareFindings } from './doctor-software.ts'

export interface DoctorOptions {
  readonly config?: string
  readonly probe?: boolean
  readonly modelsDir?: string
}

export async function doctor(options: DoctorOptions, context: Context): Promise<number> {
  const { terminal } = context
  const configured = options.config === undefined ? {} : read(options.config)
  const { examine } = await context.hal()
  const machine = await examine({
    host: { clock: realClock },
    probeBuses: options.probe !== false,
    ...configured,
  })
  const findings = [...machine.findings, ...(await softwareFindings(options.modelsDir, context))]
  const healthy = findings.every(({ severity }) => severity !== 'fail')
  if (terminal.json)
    terminal.out(JSON.stringify({ healthy, findings, machine: { ...machine, findings: undefined } }))
  else for (const line of reportLines(machine, findings, terminal.style)) terminal.out(line)
  return healthy ? exitCodes.done : exitCodes.failed
}

interface Configured {
  readonly hardware?: HardwareConfig
  readonly adapters: readonly string[]
}

/** Throws UsageError naming file and key. */
function read(file: string): Configured {
  const { hardware, accelerators } = loadDeviceConfig({}, file)
  return {
    ...(hardware ? { hardware } : {}),
    adapters: accelerators.map(({ adapter }) => adapter),
  }
}
