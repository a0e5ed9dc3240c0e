/** Valves: water mains, sprinklers. */
import { times } from '../times.ts'
import { positioned } from './positioned.ts'

export const valve = positioned('valve', times.valveTravelMs)
