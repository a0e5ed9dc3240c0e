/** The words that decided, and what each was taken for. */
import type { Reading } from '../../../../runtime/wire/messages.ts'
import { findEntity } from '../state/home.ts'

const namesMax = 4

export function ReadingWords({ reading }: { readonly reading: Reading }) {
  if (reading.words.length === 0) return null
  return (
    <div class="reading">
      <p class="quiet small">
        {reading.intent === 'none'
          ? 'Words that were recognised'
          : `Read as “${spaced(reading.intent)}”, from`}
      </p>
      <ul>
        {reading.words.map((word, at) => (
          <li key={`${at} ${word.text}`}>
            <q>{word.text}</q>
            <span>
              {spaced(word.role)}: {meaning(word.means)}
            </span>
          </li>
        ))}
      </ul>
    </div>
  )
}

function spaced(term: string): string {
  return term.replaceAll(/[._]/g, ' ')
}

/** Entity ids by their names; a few, and how many more. */
function meaning(means: string): string {
  const names = means.split(' ').map((id) => findEntity(id)?.name)
  if (names.some((name) => name === undefined)) return means
  const more = names.length - namesMax
  return more > 0 ? `${names.slice(0, namesMax).join(', ')} and ${more} more` : names.join(', ')
}
