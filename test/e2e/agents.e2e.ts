/** Agents in the dashboard, in a real browser, on a real hub with agents that really run. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashPassword } from '../../runtime/base/password.ts'
import {
  agentOf,
  entity,
  focusOn,
  inState,
  over,
  pressable,
  root,
  useBrowser,
  waiting,
} from './agents-page.ts'
import { openPage } from './browser.ts'
import { type Hub, startHub } from './hub.ts'

const adaToken = 'ada-has-a-token-of-her-own'
const bobToken = 'bob-is-nine-years-old-now'

/** The door follows the lamp, where a person says yes each time. */
const doorman = `import { agent } from 'ganglion'
export default agent({
  name: 'doorman',
  wants: [{ want: 'lock.front_door:command', limits: { ask: true } }, 'light.living_room_lamp:read'],
  async run(ctx) {
    ctx.log('I am here')
    for await (const seen of ctx.on('light.living_room_lamp', { to: ['on', 'off'] })) {
      const state = seen.state === 'on' ? 'unlocked' : 'locked'
      try {
        await ctx.entity('lock.front_door').command({ state })
        ctx.log('the door is ' + state)
      } catch (error) {
        ctx.log('not done: ' + error.code)
      }
    }
  },
})`
/** Asks for what it wants in two seconds, and ends. */
const hasty = `import { agent } from 'ganglion'
export default agent({
  name: 'hasty',
  wants: [{ want: 'light.kitchen_table:command', limits: { ask: true } }],
  async run(ctx) {
    try {
      await ctx.entity('light.kitchen_table').command({ state: 'on' }, { within: '2s' })
      ctx.log('it is on')
    } catch (error) {
      ctx.log('not done: ' + error.code)
    }
  },
})`
const chooser = `import { agent } from 'ganglion'
export default agent({
  name: 'chooser',
  wants: ['decide:heat-pump', 'board:heat.*', 'light.living_room_lamp:read'],
  async run(ctx) {
    for await (const _ of ctx.on('light.living_room_lamp', { to: ['on', 'off'] })) {
      await ctx.board.set('heat.wish', 21.5)
      await ctx.decide.auction('heat-pump', { bid: 4, reason: 'cold feet', within: '5s' })
    }
  },
})`

const { browser, shot } = useBrowser()

describe('agents on a hub', () => {
  let hub: Hub
  beforeAll(async () => {
    const people = [
      { name: 'Ada', tokenHash: await hashPassword(adaToken) },
      { name: 'Bob', tokenHash: await hashPassword(bobToken), answers: false },
    ]
    hub = await startHub('0', JSON.stringify({ gateway: { people } }))
  })
  afterAll(async () => {
    await hub?.stop()
  })

  async function ganglion(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['runtime/main.ts', ...args, '--state-dir', hub.stateDir],
      { cwd: root },
    )
    return stdout
  }
  async function run(name: string, source: string): Promise<void> {
    const file = join(hub.stateDir, `${name}.ts`)
    await writeFile(file, source)
    await ganglion('agent', 'run', file, '--grant', 'all')
  }
  /** What a switch on the wall would do. */
  async function turnLamp(state: 'on' | 'off'): Promise<void> {
    const response = await fetch(`${hub.url}/api/entities/light.living_room_lamp/command`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ command: { state } }),
    })
    expect(response.status).toBe(200)
  }
  async function login(page: Page, token: string): Promise<void> {
    await page.getByLabel('Your own token').fill(token)
    await page.keyboard.press('Enter')
  }

  it('[dashboard-10] appears by itself, with what it may do and what it says, and its state is live', async () => {
    await using opened = await openPage(browser(), hub.url)
    const { page, complaints } = opened
    await page.locator('.agents').getByText('No agents yet').waitFor()
    expect(await page.locator('.approvals').count()).toBe(0)
    await turnLamp('off')
    await run('doorman', doorman)
    await inState(page, 'doorman', 'running')
    const card = agentOf(page, 'doorman')
    await card.getByText('something to happen in the home').waitFor()
    await card.getByText('of a core').waitFor()
    await card.getByText('May do 2 things, and nothing else').click()
    await card.getByText('lock and unlock lock.front_door').waitFor()
    await card.getByText('What it said lately').click()
    await card.getByText('I am here').waitFor()
    await ganglion('agent', 'stop', 'doorman')
    await inState(page, 'doorman', 'stopped')
    await ganglion('agent', 'resume', 'doorman')
    await inState(page, 'doorman', 'running')
    expect(complaints).toEqual([])
  })

  it('[dashboard-11] asks at the top; a person who logs in says yes, it goes on, and the record says who', async () => {
    await using opened = await openPage(browser(), hub.url)
    const { page } = opened
    await inState(page, 'doorman', 'running')
    await agentOf(page, 'doorman').getByText('something to happen').waitFor()
    await turnLamp('on')
    const card = waiting(page)
    await card.getByText('Front Door').waitFor()
    expect(await card.locator('.approval-words').textContent()).toBe('set Front Door to unlocked')
    await page.locator('[role="status"]').getByText('doorman asks for an answer').waitFor()
    await card.getByText('Only a person of this household may').waitFor()
    expect(await card.getByRole('button', { name: 'Yes' }).count()).toBe(0)
    await shot(page, 'agents-locked')
    await login(page, 'not-a-token-of-anybody')
    await card.getByText('that is not the token').waitFor()
    await login(page, bobToken)
    await card.getByText('Bob may not answer').waitFor()
    await login(page, adaToken)
    await card.getByText('You are Ada').waitFor()
    await shot(page, 'agents-asked')
    const answers: string[] = []
    page.on('request', (request) => {
      if (request.method() === 'POST' && request.url().includes('/approvals/')) answers.push(request.url())
    })
    await pressable(card.getByRole('button', { name: 'Yes' })).dblclick()
    await over(page, 'yes').getByText('Yes, by Ada, logged in here').waitFor()
    await entity(page, 'lock.front_door', 'unlocked')
    expect(answers).toHaveLength(1)
    expect(await waiting(page).count()).toBe(0)
    expect(await ganglion('audit', 'show')).toContain('by gateway:Ada')
  })

  it('[dashboard-5] is denied by keyboard alone; the agent hears of it and the focus is not lost', async () => {
    await using opened = await openPage(browser(), hub.url)
    const { page } = opened
    await inState(page, 'doorman', 'running')
    await turnLamp('off')
    await waiting(page).waitFor()
    await page.getByLabel('Your own token').focus()
    await page.keyboard.type(adaToken)
    await page.keyboard.press('Enter')
    await waiting(page).getByText('You are Ada').waitFor()
    await pressable(waiting(page).getByRole('button', { name: 'Yes' })).focus()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await over(page, 'no').first().waitFor()
    await page.waitForFunction(() => document.activeElement?.id === 'approvals-title')
    await page.getByText('What it said lately').first().focus()
    await page.keyboard.press('Enter')
    await agentOf(page, 'doorman').getByText('not done: permission').waitFor()
    await entity(page, 'lock.front_door', 'unlocked')
  })

  it('[dashboard-11] says that nobody answered in time', async () => {
    await using opened = await openPage(browser(), hub.url)
    const { page, complaints } = opened
    await run('hasty', hasty)
    await over(page, 'expired').getByText('Expired: nobody answered in time').waitFor()
    await inState(page, 'hasty', 'ended')
    await agentOf(page, 'hasty').getByText('What it said lately').click()
    await agentOf(page, 'hasty').getByText('not done: timeout').waitFor()
    expect(complaints).toEqual([])
  })

  it('[dashboard-12] is stopped by anybody after a second press, and resumed by a person, by keyboard', async () => {
    await using opened = await openPage(browser(), hub.url)
    const { page, complaints } = opened
    const card = agentOf(page, 'doorman')
    await card.getByRole('button', { name: 'Stop', exact: true }).focus()
    await page.keyboard.press('Enter')
    await card.getByRole('button', { name: 'Keep running' }).and(page.locator(':focus')).waitFor()
    expect(await card.getAttribute('data-state')).toBe('running')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await inState(page, 'doorman', 'stopped')
    await focusOn(card.getByRole('button', { name: 'Resume' }))
    await page.keyboard.press('Enter')
    await card.getByText('Only a person of this household may').waitFor()
    await shot(page, 'agents-resume-locked')
    await page.keyboard.press('Tab')
    await page.keyboard.type(adaToken)
    await page.keyboard.press('Enter')
    await card.getByText('You are Ada').waitFor()
    await focusOn(card.getByRole('button', { name: 'Not Ada?' }))
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await focusOn(card.getByRole('button', { name: 'Let it go on' }))
    await page.keyboard.press('Enter')
    await inState(page, 'doorman', 'running')
    await focusOn(card.getByRole('button', { name: 'Stop', exact: true }))
    expect(await ganglion('audit', 'show')).toMatch(/resume.*gateway:Ada/)
    expect(complaints).toEqual([])
  })

  it('[dashboard-13] what devices decide and share appears as it happens', async () => {
    await ganglion('agent', 'stop', 'doorman')
    await using opened = await openPage(browser(), hub.url)
    const { page, complaints } = opened
    await page.getByText('have decided nothing together').waitFor()
    await run('chooser', chooser)
    await agentOf(page, 'chooser').getByText('something to happen').waitFor()
    await turnLamp('on')
    const decision = page.locator('.decision').first()
    await decision.getByText('Auction: heat pump').waitFor()
    await decision.locator('summary').click()
    await decision.getByText(hub.device).first().waitFor()
    const fact = page.locator('[data-fact="heat.wish"]')
    await fact.getByText('21.5').waitFor()
    await shot(page, 'agents-hub')
    expect(complaints).toEqual([])
  })
})
