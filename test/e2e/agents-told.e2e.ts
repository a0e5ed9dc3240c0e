/** Agents in the dashboard on a real gateway, of a scripted device: what a whole hub is slow to show. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { type Answer, type Call, openGateway, ScriptedDevice } from '../integration/gateway-device.ts'
import { contrastFaults, controlFaults, structureFaults } from './accessibility.ts'
import { agentOf, focusOn, inState, pressable, root, useBrowser, waiting } from './agents-page.ts'
import { openPage } from './browser.ts'

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const
const { browser, shot } = useBrowser()

describe('agents of a device that says anything', () => {
  let gateway: Gateway
  let device: ScriptedDevice
  const hourMs = 3_600_000

  const told = (ts: number) => ({
    ...{ v: 1, ts, more: 0 },
    agents: [
      agent('comfort', {
        waiting: [
          { op: 'sleep', count: 1 },
          { op: 'on', count: 2 },
        ],
      }),
      agent('leak-guard', { state: 'failed', reason: 'TypeError: cannot read properties of undefined' }),
      agent('night-watch', { state: 'stopped', reason: 'a person stopped it', waiting: [], grants: [] }),
      agent('assistant', { state: 'ended', waiting: [] }),
      agent('writer', { problem: 'the disk takes nothing any more', moreGrants: 3 }),
      agent('twin', { problem: 'another agent called twin runs on attic: remove one' }),
    ],
    approvals: [
      asks('q1', 'night-watch', 'command lock.front_door: state "unlocked"', ts + hourMs),
      {
        ...asks('q2', 'assistant', 'Which room shall be warm when you are back?', ts + 90_000),
        ...{ kind: 'question', choices: ['living room', 'study', 'none'] },
      },
    ],
  })
  const wantedLights = '[{"capability":"light.*:command"}]'
  const lights = {
    ...{
      capability: 'light.*:command',
      words: 'turn all lights on and off, and set how bright and which colour',
    },
  }
  const thinks = { capability: 'think', words: 'use a language model' }
  let lines: object[] = [lights, thinks]
  /** As a device does: what was changed it tells again. */
  function changes({ ask, name, deny, pin }: Call): Answer {
    if (name === 'writer') return { error: { code: 'unavailable', message: 'not now' } }
    if (pin !== '2468' && ask !== 'grants' && !deny)
      return { error: { code: 'forbidden', message: 'that is not the PIN of Ada' } }
    if (ask === 'grant') lines = deny ? [thinks, { ...lights, allow: wantedLights }] : [thinks, lights]
    if (ask === 'grant' || ask === 'grants')
      return { result: { name, wants: '[]', grants: '[]', lines, priority: 'background' } }
    const now = told(Date.now())
    const agents = now.agents.flatMap((one) =>
      one.name !== name ? [one] : ask === 'remove' ? [] : [{ ...one, state: 'running', reason: undefined }],
    )
    void device.retain(device.topics.agents('hub'), { ...now, agents })
    return { result: { name, ...(ask === 'resume' && name === 'leak-guard' ? { anew: true } : {}) } }
  }
  const agent = (name: string, changes: object) => ({
    ...{ name, state: 'running', program: 'a'.repeat(64), token: 1, turns: 12, inMemory: true },
    startedMs: Date.now() - 3 * hourMs,
    waiting: [{ op: 'on', count: 1 }],
    grants: ['turn all lights on and off, and set how bright and which colour', 'use a language model'],
    ...{ moreGrants: 0, ...changes },
  })
  const asks = (id: string, from: string, words: string, expiresMs: number) => ({
    ...{ id, agent: from, kind: 'permission', words, choices: ['yes', 'no'] },
    ...{ askedMs: Date.now() - 5_000, expiresMs },
  })
  const decision = {
    ...{
      v: 1,
      id: 'e1',
      ts: Date.now(),
      decision: 'd1',
      kind: 'auction',
      subject: 'heat-pump',
      opener: 'hub',
    },
    ...{ members: 3, quorum: 2, decided: true, winner: 'bedroom', price: 0.42, atMs: Date.now() },
    ...{ reason: 'bedroom offered most: 0.6', notes: ['the commit of study came late'] },
  }
  const fact = {
    key: 'heat.bedroom',
    value: { wishC: 20.5 },
    version: 3,
    author: 'bedroom',
    tsMs: Date.now(),
  }

  beforeAll(async () => {
    gateway = await openGateway({ dashboard: join(root, 'gateway/dashboard/dist') })
    device = await ScriptedDevice.open(gateway.mqttUrl, 'hub')
    const used = { cpuMs: 900, engineMs: 0, tokens: 1204, bytes: 0, joules: 1, money: 0 }
    device.answer = (asked) => {
      const { method, ask } = asked
      if (method === 'board')
        return {
          result: { facts: [{ ...fact, untilMs: Date.now() + hourMs }], more: false, count: 1, refused: 0 },
        }
      if (method === 'agent' && ask === 'approvals')
        return { result: { approvals: [], people: ['Ada', 'Bob'] } }
      if (method === 'agent' && /^(grants?|resume|remove)$/.test(String(ask))) return changes(asked)
      if (method === 'agent' && ask === 'approve')
        return { error: { code: 'forbidden', message: 'that is not the PIN of Ada' } }
      if (method === 'top')
        return {
          result: {
            agents: [
              {
                ...{ name: 'comfort', state: 'running', priority: 'background', cpuShare: 0.012 },
                ...{ turnsPerS: 1, turns: 12, memoryBytes: 1_400_000, inMemory: true, used },
                ...{ waits: ['sleep'], over: ['tokens'] },
              },
            ],
            ...{ more: 0, resources: [] },
          },
        }
      return { error: { code: 'unavailable', message: 'not now' } }
    }
    await device.online()
    await device.retain(device.topics.agents('hub'), told(Date.now()))
    await device.client.publishAsync(device.topics.event('hub', 'decision'), JSON.stringify(decision), {
      qos: 1,
    })
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
    await gateway?.[Symbol.asyncDispose]()
  })

  it.each([
    ['desktop', 'light', {}],
    ['desktop', 'dark', {}],
    ['phone', 'light', phone],
    ['phone', 'dark', phone],
  ] as const)('[dashboard-5] is readable on a %s in %s', async (size, colorScheme, options) => {
    await using opened = await openPage(browser(), gateway.httpUrl, { ...options, colorScheme })
    const { page, complaints } = opened
    await page.locator('[data-fact="heat.bedroom"]').waitFor()
    await page.locator('.decision').waitFor()
    await agentOf(page, 'comfort').getByText('1204 tokens').waitFor()
    await page.getByLabel('PIN').first().waitFor()
    await shot(page, `agents-${size}-${colorScheme}`)
    const closed = page.locator('.agents details:not([open]) > summary')
    for (let left = await closed.count(); left > 0; left = await closed.count()) await closed.first().click()
    await shot(page, `agents-open-${size}-${colorScheme}`)
    expect(await structureFaults(page)).toEqual([])
    expect(await controlFaults(page)).toEqual([])
    expect(await contrastFaults(page)).toEqual([])
    if (size === 'phone') expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(complaints.filter((line) => !line.includes('503'))).toEqual([])
  })

  it('[dashboard-11] a wrong PIN is said, asked for again, and kept nowhere', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const card = waiting(page).filter({ hasText: 'night-watch' })
    await card.getByLabel('You are').selectOption('Ada')
    expect(await card.getByRole('button', { name: 'Yes' }).isDisabled()).toBe(true)
    await card.getByLabel('PIN').fill('9999')
    await pressable(card.getByRole('button', { name: 'Yes' })).click()
    await card.getByText('Not answered: that is not the PIN of Ada').waitFor()
    expect(await card.getByLabel('PIN').inputValue()).toBe('')
    expect(device.calls.filter(({ ask }) => ask === 'approve').at(-1)).toMatchObject({
      by: 'Ada',
      pin: '9999',
    })
    const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, location.href]))
    expect(kept).not.toContain('9999')
  })

  it('[dashboard-15] what an agent may do is taken back by one press, and given by a person, by keyboard', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const card = agentOf(page, 'comfort')
    await card.getByText('May do 2 things').focus()
    await page.keyboard.press('Enter')
    const takeBack = card.getByRole('button', { name: 'Take back: turn all lights on and off' })
    await takeBack.focus()
    await page.keyboard.press('Enter')
    const allow = card.getByRole('button', { name: 'Allow: turn all lights on and off' })
    await focusOn(allow)
    expect(device.calls.findLast(({ ask }) => ask === 'grant')).toMatchObject({ deny: ['light.*:command'] })
    await page.keyboard.press('Enter')
    await card.getByLabel('You are').selectOption('Ada')
    await card.getByLabel('PIN').fill('9999')
    await page.keyboard.press('Enter')
    await card.getByText('Not done: that is not the PIN of Ada').waitFor()
    await focusOn(card.getByLabel('PIN'))
    expect(await card.getByLabel('PIN').inputValue()).toBe('')
    await shot(page, 'agents-allow')
    await page.keyboard.type('2468')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await focusOn(card.getByRole('button', { name: 'Allow it' }))
    await page.keyboard.press('Enter')
    await focusOn(takeBack)
    expect(device.calls.findLast(({ ask }) => ask === 'grant')).toMatchObject({
      by: 'Ada',
      pin: '2468',
      allow: wantedLights,
    })
    expect(await contrastFaults(page)).toEqual([])
    expect(await controlFaults(page)).toEqual([])
  })

  it('[dashboard-15] says where it cannot be changed, and shows what was told', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const card = agentOf(page, 'writer')
    await card.getByText('May do 5 things').click()
    await card.getByText('is not to be had: not now').waitFor()
    await card.getByText('and 3 more').waitFor()
    expect(await card.getByRole('button', { name: /^Take back/ }).count()).toBe(0)
  })

  it('[dashboard-15] an agent is let go on and removed by a person with their PIN, on a phone, and the focus stays', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl, { ...phone, colorScheme: 'dark' })
    const { page } = opened
    const card = agentOf(page, 'night-watch')
    await card.getByRole('button', { name: 'Resume' }).click()
    await card.getByText('Let night-watch go on from where it was?').waitFor()
    await page.keyboard.press('Escape')
    await focusOn(card.getByRole('button', { name: 'Resume' }))
    expect(device.calls.filter(({ ask }) => ask === 'resume')).toEqual([])
    await card.getByRole('button', { name: 'Resume' }).click()
    const goOn = card.getByRole('button', { name: 'Let it go on' })
    expect(await goOn.getAttribute('aria-disabled')).toBe('true')
    await card.getByLabel('You are').selectOption('Bob')
    await card.getByLabel('PIN').fill('2468')
    await shot(page, 'agents-resume-phone-dark')
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(await controlFaults(page)).toEqual([])
    await goOn.click()
    await inState(page, 'night-watch', 'running')
    expect(device.calls.findLast(({ ask }) => ask === 'resume')).toMatchObject({ by: 'Bob', pin: '2468' })
    await focusOn(card.getByRole('button', { name: 'Stop', exact: true }))
    await card.getByRole('button', { name: 'Remove' }).click()
    await card.getByText('It cannot be undone').waitFor()
    await card.getByLabel('You are').selectOption('Bob')
    await card.getByLabel('PIN').fill('2468')
    await card.getByRole('button', { name: 'Remove it' }).click()
    await card.waitFor({ state: 'detached' })
    await focusOn(page.locator('#agents-title'))
  })

  it('[dashboard-11] from the card of one that asks a link leads to its question, by keyboard', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const link = agentOf(page, 'assistant').getByRole('link', { name: 'at the top of the page' })
    await link.focus()
    await page.keyboard.press('Enter')
    await focusOn(page.locator('#approvals-title'))
    expect(await agentOf(page, 'comfort').getByText('at the top of the page').count()).toBe(0)
  })

  it('[dashboard-15] of one that had failed it is said that it begins anew, where that is so', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const card = agentOf(page, 'leak-guard')
    await card.getByRole('button', { name: 'Try again' }).click()
    await card.getByText('or begins anew where its run has ended').waitFor()
    await card.getByLabel('You are').selectOption('Ada')
    await card.getByLabel('PIN').fill('2468')
    await card.getByRole('button', { name: 'Let it try again' }).click()
    await card.getByText(/Begun anew at .*: its run had ended by an error/).waitFor()
    await page.getByText('leak-guard begins anew').waitFor({ state: 'attached' })
  })

  it('[dashboard-10] what is wrong about one that runs stands on its card, and not that it cannot go on', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl)
    const card = agentOf(opened.page, 'twin')
    await card.getByText('Another agent called twin runs on attic: remove one').waitFor()
    await card.getByText('Needs a look').waitFor()
    expect(await card.getByText('Cannot go on').count()).toBe(0)
  })

  it('[dashboard-14] a device that is gone is shown as it was, and cannot be asked', async () => {
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    await device.availability('offline')
    await page.locator('.agents-away').getByText('Not connected').waitFor()
    const card = agentOf(page, 'comfort')
    expect(await card.getAttribute('class')).toContain('away')
    expect(await card.getByRole('button', { name: 'Stop', exact: true }).isDisabled()).toBe(true)
    await waiting(page).first().getByText('it can be answered when it is back').waitFor()
    expect(await contrastFaults(page)).toEqual([])
    await shot(page, 'agents-offline')
    await device.availability('online')
    await page.locator('.agents-away').waitFor({ state: 'detached' })
  })
})
