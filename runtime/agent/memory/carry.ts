/**
 * What an agent remembers, taken along when it moves to another device: its tables as rows, labels and all. Vectors of episodes are
 * made again where it arrives.
 */
import * as v from 'valibot'

type Value = string | number | null | Uint8Array

/** Columns of each table besides the agent; `seq`: in the order in which they came. */
const tables = {
  pair: { columns: ['key', 'value', 'privacy', 'person'], order: 'key' },
  episode: { columns: ['text', 'privacy', 'about', 'person', 'tsMs'], order: 'seq' },
  performed: { columns: ['call', 'result'], order: 'seq' },
  thought: { columns: ['call', 'step', 'entry'], order: 'call, step' },
  thought_end: { columns: ['call', 'result'], order: 'seq' },
  reply: { columns: ['key', 'answer'], order: 'seq' },
} as const

const rows = v.array(v.array(v.union([v.string(), v.number(), v.null()])))
/** Rows by table. */
export const packedMemory = v.record(v.picklist(Object.keys(tables) as (keyof typeof tables)[]), rows)
export type PackedMemory = v.InferOutput<typeof packedMemory>

export function packRows(all: (sql: string) => readonly Record<string, unknown>[]): PackedMemory {
  return Object.fromEntries(
    Object.entries(tables).map(([table, { columns, order }]) => {
      const found = all(`SELECT ${columns.join(', ')} FROM ${table} WHERE agent = ? ORDER BY ${order}`)
      return [table, found.map((row) => columns.map((column) => row[column] as string | number | null))]
    }),
  ) as PackedMemory
}

export function unpackRows(
  packed: PackedMemory,
  agent: string,
  run: (sql: string, ...values: Value[]) => void,
): void {
  for (const [table, { columns }] of Object.entries(tables)) {
    const places = columns.map(() => '?').join(', ')
    const insert = `INSERT INTO ${table} (agent, ${columns.join(', ')}) VALUES (?, ${places})`
    for (const row of packed[table as keyof typeof tables] ?? []) run(insert, agent, ...row)
  }
}

/** Without what is about a person, and all thoughts and answers: whom those name is not known. `erased`: things that were remembered. */
export function withoutPerson(
  packed: PackedMemory,
  person: string | null,
): { readonly packed: PackedMemory; readonly erased: number } {
  let erased = 0
  const others = (table: 'pair' | 'episode') => {
    const at = (tables[table].columns as readonly string[]).indexOf('person')
    const all = packed[table] ?? []
    const left = all.filter((row) => row[at] !== person)
    erased += all.length - left.length
    return left
  }
  const [pair, episode] = [others('pair'), others('episode')]
  return { packed: { ...packed, pair, episode, thought: [], thought_end: [], reply: [] }, erased }
}
