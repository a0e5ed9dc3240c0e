/** Does a device's control loop keep its pace while speech is transcribed, and while every core is busy with inference? */
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import type { Lateness } from './lateness.ts'
import { median } from './quantiles.ts'
import { Worker } from './worker.ts'

interface Answer {
  readonly runs: number
  readonly loops: readonly Lateness[]
}

export const loopLateness: Benchmark = {
  name: 'loop.lateness',
  async run({ quick }) {
    return [await transcribing(quick), await allCores(quick)]
  },
}

const program = new URL('programs/control-loop.ts', import.meta.url)

async function transcribing(quick: boolean): Promise<Measurement> {
  await using engine = await Worker.open(program, ['engine'])
  await using bare = await Worker.open(program, ['bare'])
  await using nothing = await Worker.open(program, ['nothing'])
  const answers = await measured({ engine, bare, nothing }, quick)
  return {
    name: 'loop.lateness-p99-transcribing',
    value: worseP99(answers.engine),
    unit: 'ms',
    baseline: worseP99(answers.bare),
    against: 'the same ticks in a process that runs the same models itself, on bare onnxruntime-node',
    budget: { of: 'value', max: 3 },
    limit:
      'other processes on the same cores; then resampling on the loop’s own thread, 20 ms of sound at a time',
    note:
      `p99 of 2 and 10 ms ticks: device ${both(answers.engine)} (worst ${worst(answers.engine).toFixed(1)}), bare ${both(answers.bare)} ` +
      `(worst ${worst(answers.bare).toFixed(1)}), the idle machine ${both(answers.nothing)}; ` +
      `transcriptions meanwhile: device ${runs(answers.engine)}, bare ${runs(answers.bare)}`,
  }
}

async function allCores(quick: boolean): Promise<Measurement> {
  await using engine = await Worker.open(program, ['full'])
  await using bare = await Worker.open(program, ['full-bare'])
  await using nothing = await Worker.open(program, ['nothing'])
  const answers = await measured({ engine, bare, nothing }, quick)
  return {
    name: 'loop.lateness-p99-all-cores',
    value: worseP99(answers.engine),
    unit: 'ms',
    baseline: worseP99(answers.bare),
    against:
      'the same ticks in a process that runs the same model itself on as many threads as there are cores',
    budget: { of: 'value', max: 3 },
    limit: 'how soon the kernel lets a waking process onto a core that somebody computes on',
    note:
      `an engine process on every core, each busy all the time; p99 of 2 and 10 ms ticks: device ${both(answers.engine)} ` +
      `(worst ${worst(answers.engine).toFixed(1)}), bare ${both(answers.bare)} (worst ${worst(answers.bare).toFixed(1)}), ` +
      `the idle machine ${both(answers.nothing)}; rounds of work meanwhile: device ${runs(answers.engine)}, bare ${runs(answers.bare)}`,
  }
}

type Ways<T> = Readonly<Record<'engine' | 'bare' | 'nothing', T>>

async function measured({ engine, bare, nothing }: Ways<Worker>, quick: boolean): Promise<Ways<Answer[]>> {
  const ask = (worker: Worker, measureMs = quick ? 2_000 : 8_000) => worker.ask<Answer>({ measureMs })
  // Warm: models ran at least once, code is compiled.
  for (const worker of [engine, bare]) await ask(worker, 500)
  return alternate(
    { engine: () => ask(engine), bare: () => ask(bare), nothing: () => ask(nothing) },
    { rounds: quick ? 1 : 3, warmUps: 0 },
  )
}

function p99(answers: readonly Answer[], loop: number): number {
  return median(answers.map(({ loops }) => loops[loop]?.p99Ms ?? Number.NaN))
}

const worseP99 = (answers: readonly Answer[]) => Math.max(p99(answers, 0), p99(answers, 1))
const both = (answers: readonly Answer[]) =>
  `${p99(answers, 0).toFixed(2)} and ${p99(answers, 1).toFixed(2)} ms`
const worst = (answers: readonly Answer[]) =>
  Math.max(...answers.flatMap(({ loops }) => loops.map(({ worstMs }) => worstMs)))
const runs = (answers: readonly Answer[]) => answers.reduce((sum, answer) => sum + answer.runs, 0)
