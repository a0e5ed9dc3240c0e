/** The brokers that are compared, each in a process of its own. */
import { mosquittoPath, startMosquitto } from '../fixtures/broker.ts'
import { Worker } from './worker.ts'

export interface RunningBroker extends AsyncDisposable {
  readonly port: number
}

export const openOurs = () => openProgram(new URL('programs/our-broker.ts', import.meta.url))
const plainAedes = new URL('programs/plain-aedes.ts', import.meta.url)
export const openAedes = () => openProgram(plainAedes)
export const openPromptAedes = () => openProgram(plainAedes, 'no-delay')
/** Undefined where it is not installed. */
export const openMosquitto: (() => Promise<RunningBroker>) | undefined = mosquittoPath
  ? () => startMosquitto()
  : undefined

async function openProgram(program: URL, ...args: readonly string[]): Promise<RunningBroker> {
  const worker = await Worker.open(program, args)
  const { port } = await worker.ask<{ port: number }>({})
  return { port, [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() }
}
