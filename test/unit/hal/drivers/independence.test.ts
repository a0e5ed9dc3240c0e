/** An emulator that converts as its driver does would agree with its mistakes. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const folder = new URL('../../../../hal/drivers/', import.meta.url)
const files = readdirSync(folder)
const importsOf = (file: string) =>
  [...readFileSync(new URL(file, folder), 'utf8').matchAll(/ from '\.\/(.+)'/g)].flatMap(
    ([, from]) => from ?? [],
  )

/** Facts of the datasheet that are no conversion of a measurement: register numbers and checksums. */
const shared = ['crc.ts', 'mcp23017-registers.ts']

test.each(files.filter((file) => file.endsWith('.emul.ts')))(
  '[drivers-6] %s takes nothing from its driver',
  (file) => {
    const ofDriver = new Set(importsOf(file.replace('.emul.', '.driver.')))
    const both = importsOf(file).filter((from) => from.endsWith('.driver.ts') || ofDriver.has(from))
    expect(both.filter((from) => !shared.includes(from))).toEqual([])
  },
)
