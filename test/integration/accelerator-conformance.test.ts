/** The conformance suite of accelerators against the CPU in the engine process and against the engine as an adapter. */
import { afterAll } from 'vitest'
import { accelerators } from '../../hal/accelerators/index.ts'
import type { OipAccelerator } from '../../hal/accelerators/oip.accelerator.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog } from '../../runtime/base/log.ts'
import { CpuAccelerator } from '../../runtime/inference/cpu-accelerator.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { acceleratorSuite } from '../conformance/accelerator.suite.ts'
import { engineCommand, host, onnxFixtures } from './accelerator-models.ts'

const never = new AbortController().signal
const log = createLog({ level: 'error', json: false, write: () => {}, nowMs: () => 0 })
const engines: EngineSupervisor[] = []
afterAll(async () => {
  for (const engine of engines) await engine[Symbol.asyncDispose]()
})

acceleratorSuite('the CPU', {
  ...onnxFixtures,
  async open() {
    const engine = await EngineSupervisor.open(
      { clock: realClock, log },
      { models: [], restart: { firstMs: 10, maxMs: 100 }, graceMs: 30_000 },
      never,
    )
    engines.push(engine)
    return {
      accelerator: new CpuAccelerator(engine),
      crash: () => process.kill(engine.pid ?? 0, 'SIGKILL'),
    }
  },
})

const [oip] = accelerators

acceleratorSuite('an adapter that speaks the Open Inference Protocol', {
  ...onnxFixtures,
  async open() {
    const backoff = { firstMs: 10, maxMs: 100 }
    const options = { name: 'engine', command: engineCommand, backoff, graceMs: 30_000 }
    const accelerator = (await oip?.open(options, host)) as OipAccelerator
    return { accelerator, crash: () => process.kill(accelerator.pid ?? 0, 'SIGKILL') }
  },
})
