/** Agents that move while the disk of a device is full. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AgentMoves } from '../../runtime/agent/move/agent-moves.ts'
import { StoreError } from '../../runtime/agent/store/agent-store.ts'
import { MovingDevice, type MovingDeviceDeps, stepping } from '../fixtures/agent/moving-device.ts'
import { ScriptedService } from '../fixtures/agent/scripted-service.ts'
import { startAedes } from '../fixtures/broker.ts'
import { JumpingClock } from '../fixtures/jumping-clock.ts'
import { openSite, type SiteDevice, until } from '../fixtures/site.ts'

/** Steps of moves that the disk does not take while it is full. */
function filling(...steps: readonly ('stay' | 'durable')[]) {
  const disk = { full: false, refused: 0 }
  const refuse = async () => {
    disk.refused += 1
    throw new StoreError('full', 'the disk takes no more', { retryable: true })
  }
  const wrap = (moves: AgentMoves) =>
    new Proxy(moves, {
      get(target, property) {
        if (disk.full && steps.some((step) => step === property)) return refuse
        const value = Reflect.get(target, property, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  return { disk, wrap }
}

interface Here {
  readonly device: MovingDevice
  readonly service: ScriptedService
  readonly clock: JumpingClock
}

async function opened(
  { identity, link: bus, stateDir }: SiteDevice,
  more: Partial<MovingDeviceDeps>,
): Promise<Here> {
  const service = new ScriptedService(['memory.get'])
  const clock = new JumpingClock()
  const deps = { clock, bus, identity, directory: join(stateDir, 'agents'), services: [service] }
  return { device: await MovingDevice.open({ ...deps, ...more }), service, clock }
}

/** With an agent on the first that waits for an answer. */
async function two(first: Partial<MovingDeviceDeps>, second: Partial<MovingDeviceDeps>) {
  await using stack = new AsyncDisposableStack()
  const broker = stack.use(await startAedes())
  const [a, b] = (await openSite(broker.url, ['hub', 'cellar'])).map((site) => stack.use(site))
  const hub = await opened(a as SiteDevice, first)
  stack.use(hub.device)
  const cellar = await opened(b as SiteDevice, second)
  stack.use(cellar.device)
  await hub.device.run(stepping('traveller', `return await ctx.memory.get('a')`))
  await hub.service.nth(0)
  return { hub, cellar, open: stack.move() }
}

const states = async ({ device }: Here) =>
  (await device.agents()).list().map(({ name, state }) => `${name} ${state}`)

test('a disk that is full while a move fails keeps the agent no longer than that: then it goes on where it was [move-3]', async () => {
  const { disk, wrap } = filling('stay')
  disk.full = true
  const record = () => Promise.reject(new Error('the audit log cannot be written'))
  const { hub, open } = await two({ disk: wrap }, { record })
  await using _open = open
  await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow('takes no more')
  await until('it was tried again', () => {
    hub.clock.advance(5_000)
    return disk.refused > 2
  })
  expect(await states(hub)).toEqual(['traveller moving'])
  disk.full = false
  await until('it goes on', async () => {
    hub.clock.advance(5_000)
    return (await states(hub))[0] === 'traveller running'
  })
})

test('a full disk lets a device say nothing that others build on: whoever gave an agent away keeps it until it is on the disk there [move-13]', async () => {
  const { disk, wrap } = filling('durable')
  const { hub, cellar, open } = await two({}, { disk: wrap })
  await using _open = open
  disk.full = true
  hub.device.mover.move('traveller', 'cellar').catch(() => {})
  await until('it was begun', async () => (await states(cellar))[0] === 'traveller running')
  await until('it was to say so', () => disk.refused > 0)
  expect(await cellar.device.mover.isThere('hub')).toBe(true)
  expect(await states(hub)).toEqual(['traveller moved'])
  disk.full = false
  await until('the hub has forgotten it', async () => (await states(hub)).length === 0)
})
