/**
 * Measures what the project promises, each beside a bare library that does the same: `node test/bench/main.ts [--quick]
 * [--only NAME] [--json]`. Exit code 0 when everything asked for was measured, however slow; 1 when something could not
 * be; 2 for a wrong option. Progress goes to standard error, results to standard output.
 */
import { parseArgs } from 'node:util'
import { messageOf } from '../../runtime/base/errors.ts'
import { agentsBoard } from './agents-board.bench.ts'
import { agentsComfort } from './agents-comfort.bench.ts'
import { agentsCrash } from './agents-crash.bench.ts'
import { agentsDecide } from './agents-decide.bench.ts'
import { agentsMachine } from './agents-machine.bench.ts'
import { agentsMove } from './agents-move.bench.ts'
import { agentsRemote } from './agents-remote.bench.ts'
import { agentsSchedule } from './agents-schedule.bench.ts'
import { agentsLeakGuard, agentsNightWatch } from './agents-shipped.bench.ts'
import { agentsTicking } from './agents-ticking.bench.ts'
import { assistantAgent } from './assistant-agent.bench.ts'
import { audit } from './audit.bench.ts'
import { type Benchmark, judge, type Result } from './benchmark.ts'
import { engineOverhead } from './engine-overhead.bench.ts'
import { gatewayBatching } from './gateway-batching.bench.ts'
import { halIo } from './hal-io.bench.ts'
import { intents } from './intents.bench.ts'
import { loadCycles } from './load-cycles.bench.ts'
import { loopLateness } from './loop-lateness.bench.ts'
import { thisMachine } from './machine.ts'
import { memory } from './memory.bench.ts'
import { mlperfTiny } from './mlperf-tiny.bench.ts'
import { modelsBudget } from './models-budget.bench.ts'
import { offloadRoundTrip } from './offload.bench.ts'
import { offloadTwoWorkers } from './offload-workers.bench.ts'
import { outbox } from './outbox.bench.ts'
import { json, table } from './report.ts'
import { roundTrip } from './round-trip.bench.ts'
import { routerSocket } from './router-socket.bench.ts'
import { routerTraces } from './router-traces.bench.ts'
import { safety } from './safety.bench.ts'
import { safetyExpiry } from './safety-expiry.bench.ts'
import { sensorsBench } from './sensors.bench.ts'
import { slowSubscriber } from './slow-subscriber.bench.ts'
import { speech } from './speech.bench.ts'
import { speechLive } from './speech-live.bench.ts'

const benchmarks: readonly Benchmark[] = [
  speech,
  speechLive,
  loopLateness,
  engineOverhead,
  modelsBudget,
  loadCycles,
  mlperfTiny,
  memory,
  intents,
  slowSubscriber,
  roundTrip,
  outbox,
  audit,
  halIo,
  sensorsBench,
  safety,
  safetyExpiry,
  routerTraces,
  routerSocket,
  gatewayBatching,
  offloadRoundTrip,
  offloadTwoWorkers,
  agentsBoard,
  agentsCrash,
  agentsComfort,
  agentsRemote,
  agentsSchedule,
  agentsTicking,
  agentsNightWatch,
  agentsLeakGuard,
  assistantAgent,
  agentsMachine,
  agentsMove,
  agentsDecide,
]

const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped')))
process.once('SIGTERM', () => stop.abort(new Error('stopped')))
process.exitCode = await main()

async function main(): Promise<number> {
  const options = readOptions()
  const wanted = benchmarks.filter(({ name }) => options?.only === undefined || name.startsWith(options.only))
  if (!options || wanted.length === 0) {
    const names = benchmarks.map(({ name }) => name).join(', ')
    process.stderr.write(
      `usage: main.ts [--quick] [--json] [--only NAME]; NAME is, or begins, one of ${names}\n`,
    )
    return 2
  }
  const machine = thisMachine()
  const { results, failures } = await measure(wanted, options.quick)
  // Ctrl-C: whoever pressed it knows, and half a table says nothing.
  if (stop.signal.aborted) return 130
  process.stdout.write(`${options.json ? json(machine, results) : table(machine, results)}\n`)
  for (const line of failures) process.stderr.write(`${line}\n`)
  return failures.length === 0 ? 0 : 1
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        only: { type: 'string' },
      },
    })
    return values
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    return undefined
  }
}

/** One after another: they would slow each other down. */
async function measure(wanted: readonly Benchmark[], quick: boolean) {
  const results: Result[] = []
  const failures: string[] = []
  for (const [at, { name, run }] of wanted.entries()) {
    const progress = (line: string) =>
      process.stderr.write(`${at + 1} of ${wanted.length}: ${name}: ${line}\n`)
    const startMs = performance.now()
    progress('measuring')
    try {
      results.push(...(await run({ quick, signal: stop.signal, progress })).map(judge))
      progress(`done in ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
    } catch (error) {
      failures.push(`${name} could not be measured: ${messageOf(error)}`)
      if (stop.signal.aborted) break
    }
  }
  return { results, failures }
}
