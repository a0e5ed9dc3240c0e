/**
 * Measures several ways of doing the same in turn (A B, B A, A B …), so that whatever else the machine does falls on all
 * of them alike. The first round warms up and does not count.
 */

export type Ways<Name extends string, Value> = Readonly<Record<Name, () => Promise<Value>>>

export interface AlternateOptions {
  /** Counted rounds. */
  readonly rounds: number
  /** Uncounted rounds before them. */
  readonly warmUps: number
}

export async function alternate<Name extends string, Value>(
  ways: Ways<Name, Value>,
  { rounds, warmUps }: AlternateOptions,
): Promise<Record<Name, Value[]>> {
  const names = Object.keys(ways) as Name[]
  const values = Object.fromEntries(names.map((name) => [name, [] as Value[]])) as Record<Name, Value[]>
  for (let round = -warmUps; round < rounds; round += 1) {
    // Reversed every other round: no way always runs on the heels of the same other one.
    const order = round % 2 === 0 ? names : names.toReversed()
    for (const name of order) {
      const value = await ways[name]()
      if (round >= 0) values[name].push(value)
    }
  }
  return values
}
