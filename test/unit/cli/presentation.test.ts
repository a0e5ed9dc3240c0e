/** What `up` shows a person. */
import { expect, test } from 'vitest'
import type { HomeAgent } from '../../../runtime/cli/home-agents.ts'
import type { HubClient } from '../../../runtime/cli/hub-client.ts'
import { present } from '../../../runtime/cli/presentation.ts'
import type { Terminal } from '../../../runtime/cli/terminal.ts'

/** The commands that it names, of a hub that has two devices and does not reach them. */
async function tries(agents: readonly HomeAgent[]): Promise<string[]> {
  const lines: string[] = []
  const out = (line: string) => void lines.push(line)
  const terminal = { out, error: out, style: (_: string, text: string) => text, columns: 80 } as Terminal
  const devices = ['a', 'b'].map((device) => ({ device, entities: 1 }))
  const running = { devices, agents, mqtt: 'mqtt://x', http: 'http://x', away: 'no broker', demo: false }
  const hub = {} as HubClient
  await present({ ...running, hub, voiceProblem: undefined }, terminal, new AbortController().signal)
  return lines.flatMap((line) => /^ {2}npm run ganglion -- (.*)/.exec(line)?.[1] ?? [])
}

test('it proposes to look at an agent that is there, and to run one where none is', async () => {
  const failed = { device: 'a', name: 'comfort-1', did: 'failed', why: 'it is full' } as const
  const left = { device: 'b', name: 'comfort-2', did: 'left', why: 'stopped' } as const
  expect(await tries([failed, left])).toContain('agent logs comfort-2 --device b -f')
  expect(await tries([failed])).toContain('agent run comfort --as comfort-1 --grant all --device a')
  expect(await tries([{ ...left, why: 'removed' }])).toHaveLength(2)
})
