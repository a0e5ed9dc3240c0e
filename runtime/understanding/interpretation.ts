/** What one clause comes to, and what reading it needs to know. */
import type { Command } from '../../hal/contract/actuator.ts'
import type { Entity } from '../things/entity.ts'
import type { EntityWords, HomeIndex } from './home-index.ts'
import type { UnderstandingContext } from './understanding.ts'

export interface Step {
  readonly entity: string
  readonly command: Command
  /** What is true of it once it is done: `on`, `at 50 %`. */
  readonly effect: string
  /** Said instead of `<name> is <effect>`. */
  readonly sentence?: string
  readonly intent: string
}

export type Interpretation =
  | { readonly kind: 'steps'; readonly steps: readonly Step[]; readonly place: string | undefined }
  | { readonly kind: 'question'; readonly reply: string; readonly options: readonly string[] }
  | { readonly kind: 'refusal'; readonly reply: string }

export interface Scene {
  readonly index: HomeIndex
  readonly live: ReadonlyMap<string, Entity>
  readonly context: UnderstandingContext
}

/** The entities that are meant, or why there are none. */
export type Chosen = { readonly chosen: readonly EntityWords[] } | Exclude<Interpretation, { kind: 'steps' }>

export const refuse = (reply: string): Interpretation & { kind: 'refusal' } => ({ kind: 'refusal', reply })
export const ask = (reply: string, options: readonly string[]): Interpretation & { kind: 'question' } => ({
  kind: 'question',
  reply,
  options,
})
