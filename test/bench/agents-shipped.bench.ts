/** The agents that come with the device, each against a plain automation in the same simulated home, in virtual time. */
import { type Guard, outcomeOf, troubles } from './agents-leak-guard.ts'
import { type Nights, nightsOf } from './agents-night-watch.ts'
import type { Benchmark, Measurement } from './benchmark.ts'

const limit = 'what its sensors tell, and when'

export const agentsNightWatch: Benchmark = {
  name: 'agents.night-watch',
  async run({ quick, signal, progress }) {
    const nights = quick ? 2 : 14
    const against = 'light on at a move, off when it has been still for five minutes'
    const results: Measurement[] = []
    for (const cutsPerNight of [0, 1]) {
      progress(`${nights} nights, ${cutsPerNight} power cuts in each`)
      const asked = { nights, seed: 5, cutsPerNight }
      const ours = await nightsOf('agent', asked)
      signal.throwIfAborted()
      const plain = await nightsOf('automation', asked)
      const when =
        cutsPerNight === 0
          ? 'the power never gone'
          : 'the power gone once, while a light waited for stillness'
      const wrong = ({ wastedMinutes, missingMinutes }: Nights) => wastedMinutes + missingMinutes
      const parts = ({ wastedMinutes, missingMinutes }: Nights) =>
        `${wastedMinutes.toFixed(1)} and ${missingMinutes.toFixed(1)}`
      results.push({
        name: cutsPerNight === 0 ? 'agents.night-watch-wrong' : 'agents.night-watch-wrong-cut',
        value: wrong(ours),
        unit: 'min/night',
        baseline: wrong(plain),
        against: cutsPerNight === 0 ? against : `${against}; that wait is gone when the power goes`,
        limit: 'a light burns while the power of the device is away',
        note: `minutes of light that nobody needed and of a reader in the dark, ${nights} nights of 10 walks and an hour of reading, ${when}: ${parts(ours)}, plain ${parts(plain)}; walks in the dark ${ours.missed} of ${ours.walks}, plain ${plain.missed}; reading lamps turned off ${ours.takenAway}, plain ${plain.takenAway}`,
      })
    }
    return results
  },
}

interface Sum {
  litres: number
  leaks: number
  falsely: number
}
const none = (): Sum => ({ litres: 0, leaks: 0, falsely: 0 })

export const agentsLeakGuard: Benchmark = {
  name: 'agents.leak-guard',
  async run({ quick, signal, progress }) {
    const list = troubles(quick ? 10 : 50, 3)
    const sums: Record<Guard, Sum> = { 'leak-guard': none(), 'any-wet': none(), nobody: none() }
    /** By lie: litres a leak and false closings, ours and plain. */
    const byLie = new Map<string, Record<Guard, Sum>>()
    for (const [at, trouble] of list.entries()) {
      const lied = byLie.get(trouble.lie) ?? { 'leak-guard': none(), 'any-wet': none(), nobody: none() }
      byLie.set(trouble.lie, lied)
      for (const guard of ['leak-guard', 'any-wet', 'nobody'] as const) {
        signal.throwIfAborted()
        const { hasLeak, litres, closedFalsely } = await outcomeOf(guard, trouble)
        for (const sum of [sums[guard], lied[guard]]) {
          sum.litres += litres
          if (hasLeak) sum.leaks += 1
          sum.falsely += closedFalsely
        }
      }
      progress(`${at + 1} of ${list.length}`)
    }
    const { 'leak-guard': ours, 'any-wet': plain, nobody } = sums
    const perLeak = ({ litres, leaks }: Sum) => (leaks === 0 ? 0 : litres / leaks)
    const against = 'an automation that closes the valve once when any sensor is wet'
    const told = (sum: Sum) => `${perLeak(sum).toFixed(0)} / ${sum.falsely}`
    const lies = [...byLie]
      .map(([lie, each]) => `${lie} ${told(each['leak-guard'])} against ${told(each['any-wet'])}`)
      .join(', ')
    const note = `${list.length} times 2.5 hours, ${ours.leaks} with a leak, most with a sensor, meter or valve that lies; with nobody ${perLeak(nobody).toFixed(0)} l are lost. By lie, litres a leak / false closings, ours against plain: ${lies}`
    return [
      {
        ...{ name: 'agents.leak-guard-lost', unit: 'l/leak', against, limit, note },
        ...{ value: perLeak(ours), baseline: perLeak(plain) },
      },
      {
        ...{ name: 'agents.leak-guard-false', unit: 'closings', against, limit, note },
        ...{ value: ours.falsely, baseline: plain.falsely },
      },
    ]
  },
}
