/** What is said in a home through the shipped agent `assistant`, beside the same sentences that the device carries out directly. */
import { fileURLToPath } from 'node:url'
import { boards } from '../../boards/index.ts'
import { createHal } from '../../hal/index.ts'
import { evaluate, type SayIn } from '../../runtime/assistant/evaluation.ts'
import { type HomeTest, readHomeTests } from '../../runtime/assistant/home-tests.ts'
import { SpokenHomes } from '../fixtures/agent/spoken-home.ts'
import type { Benchmark } from './benchmark.ts'
import { quantile } from './quantiles.ts'

const folder = fileURLToPath(new URL('../fixtures/home/intents', import.meta.url))
/** In quick mode every so many sentences. */
const quickStep = 4
const warmUps = 5

export const assistantAgent: Benchmark = {
  name: 'agents.assistant',
  async run({ quick, signal, progress }) {
    const tests = readHomeTests(folder).filter((_, at) => !quick || at % quickStep === 0)
    await using homes = await SpokenHomes.open()
    await homes.run()
    const hal = createHal(boards)
    const ways = { agent: sums(homes.say), direct: sums(undefined) }
    const both = [ways.agent, ways.direct]
    for (const [at, test] of [...tests.slice(0, warmUps), ...tests].entries()) {
      signal.throwIfAborted()
      for (const way of at % 2 === 0 ? both : both.toReversed()) await tryOn(way, test, at >= warmUps)
      if (at % 100 === 0) progress(`${at} of ${tests.length}`)
    }
    async function tryOn(way: ReturnType<typeof sums>, test: HomeTest, counts: boolean): Promise<void> {
      const { passed, latencyMs } = await evaluate([test], hal, signal, undefined, way.say)
      if (!counts) return
      way.passed += passed
      way.ms.push(latencyMs.p50)
    }
    const { agent, direct } = ways
    const shared = {
      against: 'the same sentences carried out by the device itself, without an agent',
      limit:
        'turns of the agent on the disk: one when it is told, one when it knows the meaning, one for each effect',
    }
    const right = (passed: number) => (100 * passed) / tests.length
    const latency = (name: string, share: number) => ({
      ...{ name, unit: 'ms', ...shared },
      ...{ value: quantile(agent.ms, share), baseline: quantile(direct.ms, share) },
      note: 'words to verified state, each in a fresh home; travel times of the home skipped, the disk not',
    })
    return [
      {
        ...{ name: 'agents.assistant-right', unit: '%', ...shared },
        ...{ value: right(agent.passed), baseline: right(direct.passed), limit: 'the grammar of intents' },
        note: `${agent.passed} and ${direct.passed} of ${tests.length} sentences left the whole home exactly as it had to be`,
      },
      latency('agents.assistant-p50', 0.5),
      latency('agents.assistant-p95', 0.95),
    ]
  },
}

const sums = (say: SayIn | undefined) => ({ say, passed: 0, ms: [] as number[] })
