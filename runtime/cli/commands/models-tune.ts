/** `ganglion models tune`: how many threads and engines are best on this machine, measured with a real model and kept. */

import { join } from 'node:path'
import { realClock } from '../../base/clock.ts'
import { UsageError } from '../../base/errors.ts'
import { programPath } from '../../base/program.ts'
import { keepMeasuredPlan, machineId } from '../../inference/measured-plan.ts'
import { ServedModels } from '../../inference/served-models.ts'
import { AddedModels } from '../../inference/store/added-models.ts'
import { addedFolder, factsFolder } from '../../inference/store/models-dir.ts'
import { EngineSupervisor } from '../../inference/supervisor/engine-supervisor.ts'
import { machineLimits } from '../../inference/supervisor/machine-limits.ts'
import { checkModel } from '../../inference/supervisor/model-check.ts'
import { usableCores } from '../../inference/supervisor/plan.ts'
import { bestOf, candidates, type Measured, measure } from '../../inference/tune.ts'
import type { Context } from '../context.ts'
import { deviceStateDir } from '../device-dir.ts'
import { createCliLog } from '../log.ts'
import { count, milliseconds, type Terminal } from '../terminal.ts'
import { type ModelsOptions, modelPlaces, openStore } from './models.ts'

export interface ModelsTuneOptions extends ModelsOptions {
  readonly for: string
  readonly seconds: string
  readonly dryRun?: boolean
}

export async function modelsTune(
  name: string | undefined,
  options: ModelsTuneOptions,
  context: Context,
): Promise<number> {
  const { terminal, signal } = context
  const stateDir = deviceStateDir(options.config, context)
  const aim = aimOf(options.for)
  const seconds = Number(options.seconds)
  if (!(seconds > 0 && seconds <= 600)) throw new UsageError(`--seconds ${options.seconds}: not 1 to 600`)
  const model = await modelToMeasure(name, options, signal)
  const machine = await machineLimits()
  const deps = { clock: realClock, log: createCliLog('error'), entry: programPath('engine') }
  const results: Measured[] = []
  for (const candidate of candidates(usableCores(machine))) {
    terminal.progress(`  measuring ${model.name} with ${describe(candidate)}`, describe(candidate))
    const measured = await measure(deps, model.engine, model.inputs, candidate, seconds * 1000, signal)
    results.push(measured)
    terminal.progressEnd()
    if (!terminal.json) terminal.out(line(measured))
  }
  const best = bestOf(results, aim)
  if (!best) throw new UsageError('nothing was measured')
  const { workers, intraOpThreads, p50Ms, perS } = best
  const plan = { machine: machineId(machine), workers, intraOpThreads, model: model.name, p50Ms, perS }
  if (!options.dryRun) await keepMeasuredPlan(stateDir, plan)
  tell(terminal, results, best, options.dryRun ? undefined : stateDir)
  return 0
}

function tell(
  terminal: Terminal,
  results: readonly Measured[],
  best: Measured,
  kept: string | undefined,
): void {
  if (terminal.json) {
    terminal.out(JSON.stringify({ results, best, kept: kept !== undefined }))
    return
  }
  terminal.out(`${terminal.style('green', '✓')} best: ${describe(best)}`)
  terminal.note(
    kept === undefined
      ? 'nothing was kept'
      : `kept in ${kept}: the device there uses it from its next start, on this machine`,
  )
}

const describe = ({
  workers,
  intraOpThreads,
}: {
  readonly workers: number
  readonly intraOpThreads: number
}) => `${count(workers, 'engine')} of ${count(intraOpThreads, 'thread')}`

function line(measured: Measured): string {
  const { p50Ms, p95Ms, perS } = measured
  return `  ${describe(measured).padEnd(24)} p50 ${exact(p50Ms)}, p95 ${exact(p95Ms)}, ${perS.toFixed(1)} a second`
}

const exact = (ms: number) => (ms < 100 ? `${ms.toFixed(2)} ms` : milliseconds(ms))

/** Throws UsageError. */
function aimOf(text: string): 'latency' | 'throughput' {
  if (text === 'latency' || text === 'throughput') return text
  throw new UsageError(`--for ${text}: latency or throughput`)
}

/** Largest first: small ones hide what threads do. Throws UsageError where none is here. */
async function modelToMeasure(name: string | undefined, options: ModelsOptions, signal: AbortSignal) {
  const { dir, folders } = modelPlaces(options)
  const deps = { clock: realClock, log: createCliLog('error') }
  await using stack = new AsyncDisposableStack()
  const store = stack.use(await openStore(dir, signal))
  const engines = stack.use(await EngineSupervisor.open(deps, { models: [] }, signal))
  const served = stack.use(await ServedModels.open({ ...deps, store, engines }, {}, signal))
  const added = stack.use(
    await AddedModels.open(
      { ...deps, check: (model, s) => checkModel(deps, model, s, { entry: programPath('engine') }) },
      {
        folders: [join(dir, addedFolder), ...folders],
        factsDir: join(dir, factsFolder),
        taken: (taken) => served.known.has(taken),
        onChange: (list) => served.setAdded(list),
      },
      signal,
    ),
  )
  await added.look(signal)
  const here = served.list().sort((a, b) => b.bytes - a.bytes)
  const found = name === undefined ? here[0] : here.find((model) => model.name === name)
  if (found) return found
  throw new UsageError(
    name === undefined
      ? 'no model is here to measure with: fetch one with "ganglion models pull"'
      : served.whyNot(name),
  )
}
