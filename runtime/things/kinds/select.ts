/** Selects: one of the choices that the component declares. */
import { commandSchema, effect, type KindRules, shortText } from './kind.ts'

export const selectKind: KindRules = {
  kind: 'select',
  schema: commandSchema({ option: shortText }),
  effect: (command) => effect([{ path: 'state', oneOf: [command['option'] as string] }], 30_000),
}
