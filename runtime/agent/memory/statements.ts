/** Statements of one database, each prepared once. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'

export type Value = string | number | null | Uint8Array
export type Row = Record<string, SQLOutputValue>

export class Statements {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  prepare(sql: string): StatementSync {
    let statement = this.#prepared.get(sql)
    if (!statement) {
      statement = this.#db.prepare(sql)
      this.#prepared.set(sql, statement)
    }
    return statement
  }

  /** The row that was put in last. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.prepare(sql).run(...values).lastInsertRowid)
  }
  get(sql: string, ...values: Value[]): Row | undefined {
    return this.prepare(sql).get(...values)
  }
  all(sql: string, ...values: Value[]): Row[] {
    return this.prepare(sql).all(...values)
  }
}
