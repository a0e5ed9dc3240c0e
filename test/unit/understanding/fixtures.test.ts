import { describe, expect, it } from 'vitest'
import { understand } from '../../../runtime/understanding/understand.ts'
import { did } from './home-builder.ts'
import {
  entitiesOf,
  type HomeTest,
  homeNames,
  homeTests,
  intentsHome,
  intentTests,
  namedHome,
  reaches,
  withSetup,
} from './home-fixtures.ts'

const context = { nowMs: 0 }

describe('the spoken-command fixtures [understanding-1]', () => {
  it('cause exactly the expected changes, every one of them', () => {
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
      return right ? [] : [`${test.file}: ${test.sentence} → ${did(found)}`]
    })
    expect(tests.length).toBeGreaterThan(150)
    expect(failures).toEqual([])
  })
})

interface Verdict {
  readonly test: HomeTest
  readonly kind: 'right' | 'wrong' | 'question' | 'refusal'
  readonly shown: string
  readonly command: string
}

function judge(test: HomeTest, home = namedHome(test.home)): Verdict {
  const found = understand(test.sentence, home, context)
  const shown = `${test.home}: ${test.sentence} → ${did(found)}`
  if (found.kind !== 'commands')
    return { test, kind: found.kind === 'question' ? 'question' : 'refusal', shown, command: '' }
  const [first] = found.commands
  const wanted = entitiesOf(home, test.entity, test.area)
  const right = found.commands.length === 1 && first !== undefined && wanted.includes(first.entity)
  return { test, kind: right ? 'right' : 'wrong', shown, command: JSON.stringify(first?.command) }
}

describe('the sentences of 13 homes [understanding-1]', () => {
  const verdicts = homeNames.flatMap((name) => {
    const home = namedHome(name)
    return homeTests(name).map((test) => judge(test, home))
  })
  const of = (kind: Verdict['kind']) => verdicts.filter((verdict) => verdict.kind === kind)

  it('never command another device than the one meant', () => {
    expect(verdicts.length).toBeGreaterThan(1200)
    expect(of('wrong').map((verdict) => verdict.shown)).toEqual([])
  })

  it('are refused only where a placeholder was left in the sentence', () => {
    const refused = of('refusal').filter((verdict) => !verdict.test.sentence.includes('[VOLUME]'))
    expect(refused.map((verdict) => verdict.shown)).toEqual([])
  })

  it('are asked back only where the home has several that the words fit', () => {
    const needless = of('question').filter((verdict) => {
      const found = understand(verdict.test.sentence, namedHome(verdict.test.home), context)
      return found.kind !== 'question' || found.options.length < 2
    })
    expect(needless.map((verdict) => verdict.shown)).toEqual([])
    expect(of('question').length / verdicts.length).toBeLessThan(0.1)
  })

  it('command the same thing in every wording of a group that has no number and no step', () => {
    const groups = new Map<string, Set<string>>()
    for (const verdict of of('right')) {
      const all = verdict.test.group.join(' | ')
      if (/\d|half|loud|quiet|bright|dim|volume/i.test(all)) continue
      const key = `${verdict.test.home} ${verdict.test.entity} ${verdict.test.area} ${all}`
      groups.set(key, (groups.get(key) ?? new Set()).add(verdict.command))
    }
    // `Heat on` also says which mode; `stop` of a vacuum is its own command.
    const mixed = [...groups].filter(
      ([key, commands]) => commands.size > 1 && !/heat|Stop the Roborock/i.test(key),
    )
    expect(groups.size).toBeGreaterThan(250)
    expect(mixed).toEqual([])
  })
})
