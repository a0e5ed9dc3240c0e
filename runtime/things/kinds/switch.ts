/** Switches and outlets. */
import { commandSchema, effect, type KindRules, onOff } from './kind.ts'

export const switchKind: KindRules = {
  kind: 'switch',
  schema: commandSchema({ state: onOff }),
  effect: (command) => effect([{ path: 'state', oneOf: [String(command['state'])] }], 2_000),
}
