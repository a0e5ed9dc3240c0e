/** The words that decided, and what each was taken for. */
import type { Reading } from '../../../../runtime/wire/messages.ts'
import { sentence } from '../words.ts'

export function ReadingWords({ reading }: { readonly reading: Reading }) {
  if (reading.words.length === 0) return null
  return (
    <div class="reading">
      <p class="quiet small">Understood as {sentence(reading.intent).toLowerCase()}, because of</p>
      <ul>
        {reading.words.map((word, at) => (
          <li key={`${at} ${word.text}`}>
            <q>{word.text}</q>
            <span>
              {word.role.replaceAll('_', ' ')}: {word.means}
            </span>
          </li>
        ))}
      </ul>
    </div>
  )
}
