/**
 * The list of ways to reach an accelerator that is not the CPU. One more is a file beside this one and a line here; a vendor's
 * chip needs neither where its adapter speaks the Open Inference Protocol: then it is a command in the configuration.
 */
import type { Accelerator, AcceleratorConfig } from '../contract/accelerator.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import { FallbackAccelerator } from './fallback.ts'
import { OipAccelerator, type OipAcceleratorOptions } from './oip.accelerator.ts'

export interface AcceleratorKind {
  readonly id: string
  open(options: OipAcceleratorOptions, host: Host): Promise<Accelerator>
}

export const accelerators: readonly AcceleratorKind[] = [
  { id: 'oip', open: (options, host) => OipAccelerator.open(options, host) },
]

/** A configured adapter, with the CPU behind it. Throws HalError `malformed` for a command without a program. */
export async function openAccelerator(
  { adapter, command, memoryMbMax }: AcceleratorConfig,
  cpu: Accelerator,
  host: Host,
): Promise<Accelerator> {
  const [program, ...args] = command
  if (program === undefined)
    throw new HalError('malformed', `accelerator ${adapter}: its command names no program`)
  const options = {
    name: adapter,
    command: [program, ...args] as const,
    ...(memoryMbMax === undefined ? {} : { memoryMbMax }),
  }
  return new FallbackAccelerator(await OipAccelerator.open(options, host), cpu, host.log)
}
