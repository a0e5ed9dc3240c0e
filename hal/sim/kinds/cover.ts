/** Covers: curtains, blinds, garage doors. */
import { times } from '../times.ts'
import { positioned } from './positioned.ts'

export const cover = positioned('cover', times.coverTravelMs)
