/** A PIR module: its output follows `motion`. */
import type { Emulator } from '../contract/emulator.ts'
import { emulatedContact } from './emulated-contact.ts'

export const emulatedPir: Emulator = ({ options }) => emulatedContact('motion', options['activeLow'] === true)
