/** The agents that come with the device, written as anybody else would write one. To add one: its file, and a line here. */
import type { AgentDefinition } from '../agent/contract.ts'
import assistant from './assistant.agent.ts'
import comfort from './comfort.agent.ts'
import leakGuard from './leak-guard.agent.ts'
import nightWatch from './night-watch.agent.ts'

export interface ShippedAgent {
  readonly definition: AgentDefinition
  /** Its program; in a bundle without its types. */
  readonly file: URL
}

export const shippedAgents: readonly ShippedAgent[] = [
  { definition: assistant, file: new URL('./assistant.agent.ts', import.meta.url) },
  { definition: comfort, file: new URL('./comfort.agent.ts', import.meta.url) },
  { definition: leakGuard, file: new URL('./leak-guard.agent.ts', import.meta.url) },
  { definition: nightWatch, file: new URL('./night-watch.agent.ts', import.meta.url) },
]
