/** One line for people who listen instead of looking: read aloud by a live region. */
import { signal } from '@preact/signals'

export const announcement = signal('')

export function announce(text: string): void {
  announcement.value = text
}
