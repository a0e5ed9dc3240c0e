/** A contact on a line: the line follows the channel that was configured. */
import type { Emulator } from '../contract/emulator.ts'
import { emulatedContact } from './emulated-contact.ts'

export const emulatedDigitalInput: Emulator = ({ options }) =>
  emulatedContact(String(options['channel']), options['activeLow'] === true)
