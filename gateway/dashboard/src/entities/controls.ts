/** What every kind's controls are given. */
import type { Json } from '../../../../runtime/wire/messages.ts'
import type { EntityView } from '../entity.ts'

export interface ControlProps {
  readonly entity: EntityView
  /** A command is being verified. */
  readonly busy: boolean
  /** Nothing can be asked of it now. */
  readonly disabled: boolean
  readonly send: (command: Readonly<Record<string, Json>>) => void
}
