/** `device.people`: who may say yes here. `ganglion person NAME` writes an entry. */
import * as v from 'valibot'
import { parseHash } from '../base/password.ts'

export const peopleSchema = v.pipe(
  v.array(
    v.strictObject({
      name: v.pipe(
        v.string(),
        v.trim(),
        v.regex(/^[^\p{Cc}\p{Cf}:]{1,64}$/u, 'must be a name without a colon'),
      ),
      pin: v.pipe(
        v.string(),
        v.check((text) => parseHash(text) !== undefined, 'must be as "ganglion person NAME" writes it'),
      ),
    }),
  ),
  v.maxLength(64, 'must be 64 at most'),
  v.check((people) => new Set(people.map(({ name }) => name)).size === people.length, 'names one twice'),
)
