/** A device that restarts in the middle of a decision: it keeps nothing of what it said, and counts once at most all the same. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Outcome } from '../../../../runtime/agent/decide/count.ts'
import { Decisions, type Opening } from '../../../../runtime/agent/decide/decisions.ts'
import type { Intent } from '../../../../runtime/agent/decide/process.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { SimulatedBroker, SimulatedBus } from '../board/simulated-broker.ts'

const forever = new AbortController().signal
let directory: string
let stack: DisposableStack
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'decide-restarts-'))
  stack = new DisposableStack()
})
afterEach(() => {
  stack[Symbol.dispose]()
  rmSync(directory, { recursive: true })
})

/** The bath says `first`, restarts, and says `then`. What the attic, which opened it, comes to. */
async function restarted(
  opening: Opening,
  first: Intent,
  then: Intent,
): Promise<Outcome & { notes: readonly string[] }> {
  const clock = new VirtualClock()
  const broker = new SimulatedBroker(clock, { loss: 0, twice: 0, delayMsMax: 5 })
  const identities = ['attic', 'bath', 'cellar', 'den'].map((name) =>
    Identity.open(name, join(directory, name)),
  )
  for (const one of identities) for (const other of identities) one.trust(other.device, other.publicKey)
  let notes: readonly string[] = []
  const starts = (signer: Identity) => {
    const record = (ended: { readonly notes: readonly string[] }) => {
      if (signer.device === 'attic') notes = ended.notes
    }
    return stack.use(new Decisions({ clock, log: silentLog, bus: new SimulatedBus(broker), signer, record }))
  }
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 5) {
      clock.advance(5)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const [attic, bath, cellar, den] = identities.map(starts) as [Decisions, Decisions, Decisions, Decisions]
  const ended = attic.decide(opening, first, forever)
  await pass(50)
  void bath.decide(opening, first, forever)
  await pass(50)
  bath[Symbol.dispose]()
  const again = starts(identities[1] as Identity)
  // The opening is said again by who opened it.
  await pass(1_000)
  void again.decide(opening, then, forever)
  await pass(50)
  for (const other of [cellar, den]) void other.decide(opening, first, forever)
  await pass(opening.lastsMs)
  return { ...(await ended), notes }
}

const common = { subject: 'warmth', lastsMs: 6_000 }
const vote: Opening = { ...common, what: 'vote', rule: 'majority', choices: ['eco', 'warm'] }
const struck = 'bath said two different things: it counts for nothing'

test('a vote said again counts once, and one that is another counts for nothing [decide-1] [decide-19]', async () => {
  const [eco, warm] = [{ choices: ['eco'] }, { choices: ['warm'] }]
  expect(await restarted(vote, eco, eco)).toMatchObject({ reason: '4 of 4 votes are for eco', notes: [] })
  expect(await restarted(vote, eco, warm)).toMatchObject({
    reason: '3 of 3 votes are for eco',
    notes: [struck],
  })
})

test('a value said again counts once, and another takes the place of one that may lie [decide-19]', async () => {
  const agree: Opening = { ...common, what: 'agree', value: 21, faulty: 1 }
  expect(await restarted(agree, { value: 21 }, { value: 21 })).toMatchObject({ decided: true, value: 21 })
  expect(await restarted(agree, { value: 21 }, { value: 22 })).toMatchObject({
    decided: true,
    value: 21,
    notes: [struck],
  })
})
