/**
 * How what was said becomes a decision: pure functions of the words, whatever their order, so that everybody who has them counts
 * the same.
 *
 * Invariants: [decide-4] without a quorum nothing is decided, and the reason says so; [decide-5] one veto is enough; [decide-6] a tie
 * between offers goes to the device whose digest with the decision's id is lowest: fair over many decisions, known to nobody
 * before the id is; [decide-7] a bid that does not fit its digest, came late or was not shown is none; [decide-16] nobody's call is
 * answered by a vote that is counted otherwise than here.
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { OpenBody } from '../../wire/decide.ts'
import type { Words } from './words.ts'

export interface Outcome {
  readonly decided: boolean
  readonly value?: unknown
  readonly winner?: string
  readonly price?: number
  readonly reason: string
}

type Opened<What extends OpenBody['what']> = Extract<OpenBody, { what: What }>

export const undecided = (reason: string): Outcome => ({ decided: false, reason })

/** Why nothing can be decided, whatever was offered. */
export function obstacle(open: OpenBody, words: Words): Outcome | undefined {
  const [veto] = words.of('veto')
  if (veto) return undecided(`${veto[0]} vetoed it: ${veto[1].reason}`)
  if (words.present >= open.quorum) return undefined
  return undecided(
    `no quorum: ${words.present} of ${open.members.length} devices took part, ${open.quorum} are needed`,
  )
}

export function bidDigest(id: string, device: string, amount: number, nonce: string): string {
  return createHash('sha256').update(`${id}\n${device}\n${amount}\n${nonce}`).digest('hex')
}

/** Orders equals. */
export function lot(id: string, device: string): string {
  return createHash('sha256').update(`${id}\n${device}`).digest('hex')
}

/** Second price: the highest losing bid, 0 where there is none. */
export function settleAuction(open: Opened<'auction'>, opener: string, words: Words): Outcome {
  const stopped = obstacle(open, words)
  if (stopped) return stopped
  const close = words.of('close').find(([device]) => device === opener)?.[1]
  if (!close) return undecided('the bids were never closed')
  const closed = new Map(close.commits.map(({ device, hash }) => [device, hash]))
  const committed = new Map(words.of('commit').map(([device, { hash }]) => [device, hash]))
  const bids = words
    .of('reveal')
    .filter(([device, { amount, nonce }]) => {
      const hash = bidDigest(open.id, device, amount, nonce)
      return closed.get(device) === hash && committed.get(device) === hash
    })
    .map(([device, { amount }]) => ({ device, amount, lot: lot(open.id, device) }))
    .toSorted((a, b) => b.amount - a.amount || (a.lot < b.lot ? -1 : 1))
  const [best, next] = bids
  if (!best) return undecided('nobody bid')
  const price = open.price === 'first' ? best.amount : (next?.amount ?? 0)
  const reason = `${best.device} bid ${best.amount}, the highest of ${bids.length}`
  return { decided: true, winner: best.device, price, value: best.device, reason }
}

/** What devices' votes weigh; of one that is not named 1. */
export type Weights = Readonly<Record<string, number>>

export function weigh(members: readonly string[], weights: Weights = {}): number[] {
  return members.map((member) => (Object.hasOwn(weights, member) ? (weights[member] ?? 1) : 1))
}

/** How a vote is counted, where that is not what `asked` is by the weights of this device; undefined where it is. */
export function countedOtherwise(
  open: OpenBody,
  asked: { readonly what: string; readonly rule?: string; readonly choices?: readonly string[] },
  weights: Weights | undefined,
): string | undefined {
  if (open.what !== 'vote') return undefined
  if (open.rule !== asked.rule) return open.rule
  if (!isDeepStrictEqual(new Set(open.choices), new Set(asked.choices))) return 'with other choices than here'
  if (open.rule !== 'weighted' || isDeepStrictEqual(open.weights, weigh(open.members, weights)))
    return undefined
  return 'by other weights than here'
}

/** Ballots that name choices of the vote, each once. */
export function ballots(open: Opened<'vote'>, words: Words): [string, readonly string[]][] {
  return words
    .of('ballot')
    .map(([device, { choices }]): [string, readonly string[]] => [device, choices])
    .filter(
      ([, mine]) =>
        mine.length > 0 &&
        mine.every((choice) => open.choices.includes(choice)) &&
        new Set(mine).size === mine.length,
    )
}

export function tallyVote(open: Opened<'vote'>, words: Words): Outcome {
  const stopped = obstacle(open, words)
  if (stopped) return stopped
  const cast = ballots(open, words)
  if (cast.length === 0) return undecided('everybody abstained')
  if (open.rule === 'ranked') return instantRunOff(open, cast)
  const weightOf = (device: string) =>
    open.rule === 'majority' ? 1 : (open.weights?.[open.members.indexOf(device)] ?? 0)
  const total = cast.reduce((sum, [device]) => sum + weightOf(device), 0)
  for (const choice of open.choices) {
    const votes = cast.reduce((sum, [device, mine]) => sum + (mine[0] === choice ? weightOf(device) : 0), 0)
    if (votes * 2 > total)
      return { decided: true, value: choice, reason: `${votes} of ${total} votes are for ${choice}` }
  }
  return undecided(`no choice has more than half of the ${total} votes`)
}

/**
 * Instant run-off: as long as no choice leads more than half of the ballots, the one that leads fewest goes; of equals the one that
 * was named last in the vote. A ballot whose choices have all gone counts no longer.
 */
function instantRunOff(open: Opened<'vote'>, cast: readonly [string, readonly string[]][]): Outcome {
  let left = [...open.choices]
  for (let round = 1; left.length > 0; round += 1) {
    const leads = cast.map(([, mine]) => mine.find((choice) => left.includes(choice)))
    const counted = leads.filter((choice) => choice !== undefined).length
    const votes = (choice: string) => leads.filter((lead) => lead === choice).length
    const winner = left.find((choice) => votes(choice) * 2 > counted)
    if (winner !== undefined)
      return {
        decided: true,
        value: winner,
        reason: `${votes(winner)} of ${counted} ballots lead with ${winner} in round ${round}`,
      }
    const fewest = Math.min(...left.map(votes))
    const goes = left.findLast((choice) => votes(choice) === fewest)
    left = left.filter((choice) => choice !== goes)
  }
  return undecided('no choice is on any ballot')
}
