import { describe, expect, it } from 'vitest'
import { understand } from '../../../runtime/understanding/understand.ts'
import type { Understanding } from '../../../runtime/understanding/understanding.ts'
import { intentsHome, intentTests, reaches, withSetup } from './home-fixtures.ts'

const context = { nowMs: 0 }

function shown(found: Understanding): string {
  if (found.kind !== 'commands') return `${found.kind}: ${found.reply}`
  return found.commands.map(({ entity, command }) => `${entity} ${JSON.stringify(command)}`).join('; ')
}

describe('the sentences of the spoken-command fixtures', () => {
  it('cause exactly the expected changes, 100 of 100', () => {
    const home = intentsHome()
    const tests = intentTests()
    const failures = tests.flatMap((test) => {
      const found = understand(test.sentence, withSetup(home, test.setup), context)
      const commands = found.kind === 'commands' ? found.commands : []
      const right =
        commands.length === Object.keys(test.expect).length &&
        commands.every(({ entity, command }) => {
          const wanted = test.expect[entity]
          return wanted !== undefined && reaches(command, wanted)
        })
      return right ? [] : [`${test.file}: ${test.sentence} → ${shown(found)}`]
    })
    expect(tests.length).toBeGreaterThan(150)
    expect(failures).toEqual([])
  })
})
