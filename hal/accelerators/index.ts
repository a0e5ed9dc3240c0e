/**
 * The list of ways to reach an accelerator that is not the CPU. One more is a file beside this one and a line here; a vendor's
 * chip needs neither where its adapter speaks the Open Inference Protocol: then it is a command in the configuration.
 */
import type { Accelerator } from '../contract/accelerator.ts'
import type { Host } from '../contract/host.ts'
import { OipAccelerator, type OipAcceleratorOptions } from './oip.accelerator.ts'

export interface AcceleratorKind {
  readonly id: string
  open(options: OipAcceleratorOptions, host: Host): Promise<Accelerator>
}

export const accelerators: readonly AcceleratorKind[] = [
  { id: 'oip', open: (options, host) => OipAccelerator.open(options, host) },
]
