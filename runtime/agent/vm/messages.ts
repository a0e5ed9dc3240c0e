/** What the runtime and a thread of machines say to each other. Both ends are ours and of one version: types are enough. */
import type { TurnInput } from '../turn.ts'
import type { Guest, Image, Program, TurnResult } from './machine.ts'

/** A machine's image, ready to be kept: compressed, with its digest. */
export interface PackedImage extends Omit<Image, 'memory'> {
  /** zstd of the memory. */
  readonly bytes: Uint8Array
  /** SHA-256 of `bytes`, hex. */
  readonly sha256: string
}

export interface ProgramToRun {
  readonly program: Program
  readonly seed: number
  /** Of an agent that began with another than this version's. */
  readonly guest?: Guest
  readonly memoryBytesMax?: number
  readonly ticksMax?: number
  readonly cpuMsMax?: number
}

export type ToMachines =
  | { readonly kind: 'create'; readonly machine: number; readonly run: ProgramToRun; readonly nowMs: number }
  | {
      readonly kind: 'restore'
      readonly machine: number
      readonly run: ProgramToRun
      readonly image: PackedImage
    }
  | {
      readonly kind: 'turn'
      readonly machine: number
      readonly nowMs: number
      readonly inputs: readonly TurnInput[]
      readonly cpuMsMax?: number
    }
  | { readonly kind: 'image'; readonly machine: number }
  | { readonly kind: 'drop'; readonly machine: number }

export type MachineAnswer =
  | { readonly kind: 'created'; readonly manifest: string }
  | { readonly kind: 'restored' }
  | { readonly kind: 'turned'; readonly result: TurnResult }
  | { readonly kind: 'imaged'; readonly image: PackedImage }
  | { readonly kind: 'dropped' }
  | { readonly kind: 'failed'; readonly program: boolean; readonly reason: string }

export interface Numbered<T> {
  readonly call: number
  readonly body: T
}

export interface MachinesInit {
  readonly wasm: Uint8Array
  readonly guest: Guest
}
