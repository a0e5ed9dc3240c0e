/** Every rule, by kind. Another kind's rules are one more line here. */
import { climateRules } from './climate.ts'
import { fanRules } from './fan.ts'
import { lightRules } from './light.ts'
import { lockRules } from './lock.ts'
import { mediaPlayerRules } from './media-player.ts'
import { numberRules } from './number.ts'
import { switchRules } from './on-off.ts'
import { coverRules, valveRules } from './positioned.ts'
import { type Rule, toggle } from './rule.ts'
import { selectRules } from './select.ts'
import { vacuumRules } from './vacuum.ts'

export const rules: readonly Rule[] = [
  ...lightRules,
  ...switchRules,
  ...fanRules,
  ...coverRules,
  ...valveRules,
  ...lockRules,
  ...climateRules,
  ...mediaPlayerRules,
  ...vacuumRules,
  ...numberRules,
  ...selectRules,
  toggle('light'),
  toggle('switch'),
  toggle('fan'),
  toggle('media_player'),
]
