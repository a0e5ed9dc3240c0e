/** The agents that come with the device, each against a plain automation in the same simulated home, in virtual time. */
import { type Guard, outcomeOf, troubles } from './agents-leak-guard.ts'
import { nightsOf } from './agents-night-watch.ts'
import type { Benchmark } from './benchmark.ts'

const limit = 'what its sensors tell, and when'

export const agentsNightWatch: Benchmark = {
  name: 'agents.night-watch',
  async run({ quick, signal }) {
    const nights = quick ? 2 : 14
    const ours = await nightsOf('agent', nights, 5)
    signal.throwIfAborted()
    const plain = await nightsOf('automation', nights, 5)
    return [
      {
        name: 'agents.night-watch-wasted',
        value: ours.wastedMinutes,
        unit: 'min/night',
        baseline: plain.wastedMinutes,
        against: 'an automation with a timer of five minutes, which is gone when the power goes',
        limit: 'a light burns while the power of the device is away',
        note: `minutes of light that nobody walked by, ${nights} nights of 10 walks, the power gone in 3 of the waits for stillness; walks in the dark ${ours.missed} of ${ours.walks}, plain ${plain.missed}; reading lamps turned off ${ours.takenAway}, plain ${plain.takenAway}`,
      },
    ]
  },
}

export const agentsLeakGuard: Benchmark = {
  name: 'agents.leak-guard',
  async run({ quick, signal, progress }) {
    const list = troubles(quick ? 8 : 40, 3)
    const sums: Record<Guard, { litres: number; leaks: number; falsely: number }> = {
      'leak-guard': { litres: 0, leaks: 0, falsely: 0 },
      'any-wet': { litres: 0, leaks: 0, falsely: 0 },
      nobody: { litres: 0, leaks: 0, falsely: 0 },
    }
    for (const [at, trouble] of list.entries()) {
      for (const guard of ['leak-guard', 'any-wet', 'nobody'] as const) {
        signal.throwIfAborted()
        const { hasLeak, litres, closedFalsely } = await outcomeOf(guard, trouble)
        const sum = sums[guard]
        sum.litres += litres
        if (hasLeak) sum.leaks += 1
        sum.falsely += closedFalsely
      }
      progress(`${at + 1} of ${list.length}`)
    }
    const { 'leak-guard': ours, 'any-wet': plain, nobody } = sums
    const perLeak = ({ litres, leaks }: typeof ours) => litres / leaks
    const against = 'an automation that closes the valve once when any sensor is wet'
    const note = `${list.length} times 2.5 hours, ${ours.leaks} with a leak, most with a sensor, meter or valve that lies; with nobody ${perLeak(nobody).toFixed(0)} l are lost`
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
