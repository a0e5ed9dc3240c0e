/** `ganglion history [ID]`: which histories this device keeps of its machines, and one of them as CSV for training. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../../base/errors.ts'
import { csvHeader, csvLine } from '../../perception/feeling/history-csv.ts'
import { historyPath, readHistory } from '../../perception/feeling/history-file.ts'
import type { Context } from '../context.ts'
import { deviceStateDir } from '../device-dir.ts'

const suffix = '.history'

/** Reads while a device writes: a row that is half written is left out. Throws UsageError, HistoryError. */
export async function history(
  id: string | undefined,
  options: { readonly config?: string },
  context: Context,
): Promise<number> {
  const { terminal, signal } = context
  const dir = deviceStateDir(options.config, context)
  const ids = idsIn(join(dir, 'feeling'))
  if (id === undefined) {
    if (terminal.json) terminal.out(JSON.stringify({ histories: ids }))
    else terminal.out(ids.length > 0 ? ids.join('\n') : `no history is kept in ${dir}`)
    return 0
  }
  if (!ids.includes(id))
    throw new UsageError(`no history ${id} in ${dir}; there are: ${ids.join(', ') || 'none'}`)
  const { shape, rows } = await readHistory(historyPath(dir, id))
  if (!terminal.json) terminal.out(csvHeader(shape.channels))
  for await (const row of rows) {
    signal.throwIfAborted()
    terminal.out(terminal.json ? JSON.stringify({ ts: row.tsMs, values: [...row.values] }) : csvLine(row))
  }
  return 0
}

function idsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(suffix))
      .map((name) => name.slice(0, -suffix.length))
      .sort()
  } catch {
    return []
  }
}
