/** The brokers that are compared, each in a process of its own. */
import { mosquittoPath, startMosquitto } from '../fixtures/broker.ts'
import { Worker } from './worker.ts'

export interface RunningBroker extends AsyncDisposable {
  readonly port: number
}

export const openOurs = () => openProgram('our-broker.ts')
export const openAedes = () => openProgram('plain-aedes.ts')
export const openPromptAedes = () => openProgram('plain-aedes.ts', 'no-delay')
/** Undefined where it is not installed. */
export const openMosquitto: (() => Promise<RunningBroker>) | undefined = mosquittoPath
  ? () => startMosquitto()
  : undefined

async function openProgram(file: string, ...args: readonly string[]): Promise<RunningBroker> {
  const worker = await Worker.open(new URL(`programs/${file}`, import.meta.url), args)
  const { port } = await worker.ask<{ port: number }>({})
  return { port, [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() }
}
