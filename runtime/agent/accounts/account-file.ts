/** What agents have used, kept in a file that is written whole: the one before, or this one, never a half. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { writeDurably } from '../../base/durable-file.ts'
import { messageOf } from '../../base/errors.ts'
import { metered } from './usage.ts'

const amount = v.pipe(v.number(), v.finite())
const amounts = v.partial(v.object(v.entriesFromList(metered, amount)))
const schema = v.object({
  version: v.literal(1),
  /** Wall clock, milliseconds since the Unix epoch. */
  atMs: amount,
  agents: v.record(
    v.string(),
    v.object({ used: amounts, turns: amount, memoryBytes: amount, left: amounts }),
  ),
})
export type KeptAccounts = v.InferOutput<typeof schema>

/** Undefined where there is none; a line where it cannot be read. */
export async function readAccounts(file: string): Promise<KeptAccounts | string | undefined> {
  try {
    return v.parse(schema, JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : messageOf(error)
  }
}

export function writeAccounts(file: string, kept: KeptAccounts): Promise<void> {
  return writeDurably(file, JSON.stringify(kept))
}

export const accountsFile = (directory: string) => join(directory, 'accounts.json')
