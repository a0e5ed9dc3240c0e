/** Questions of agents in the dashboard, as they come, go and are asked by who means no good: a real gateway with a scripted device. */
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { type Answer, type Call, openGateway, ScriptedDevice } from '../integration/gateway-device.ts'
import { contrastFaults, controlFaults, structureFaults } from './accessibility.ts'
import { agentOf, focusOn, over, pressable, root, useBrowser, waiting } from './agents-page.ts'
import { openPage } from './browser.ts'

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const
const { browser, shot } = useBrowser()
const hourMs = 3_600_000

describe('what waits for a person', () => {
  let gateway: Gateway
  let device: ScriptedDevice
  let people: string[] | undefined
  let lines: object[] = []
  let listed: { grants: unknown; moreGrants: unknown }[] | undefined
  let may: object | undefined
  let answers: (call: Call) => Answer

  const agent = (name: string, changes: object = {}) => ({
    ...{ name, state: 'running', program: 'a'.repeat(64), token: 1, turns: 12, inMemory: true },
    ...{ startedMs: Date.now(), waiting: [], grants: [], moreGrants: 0, ...changes },
  })
  const asks = (id: string, changes: object = {}) => ({
    ...{ id, agent: 'night-watch', kind: 'permission', choices: ['yes', 'no'] },
    ...{ words: `command lock.door_${id}: state "unlocked"`, askedMs: Date.now() },
    ...{ expiresMs: Date.now() + hourMs, ...changes },
  })
  const tell = (approvals: readonly object[], agents: readonly object[] = [agent('night-watch')]) =>
    device.retain(device.topics.agents('hub'), { v: 1, ts: Date.now(), more: 0, agents, approvals })
  const ended = (id: string, state: string, by?: string) =>
    device.client.publishAsync(
      device.topics.event('hub', 'approval'),
      JSON.stringify({
        ...{ v: 1, id: `e-${id}`, ts: Date.now(), approval: id, agent: 'night-watch' },
        ...{ words: 'command lock.door: state "unlocked"', state, by },
      }),
      { qos: 1 },
    )
  const answered = () => device.calls.filter(({ ask }) => ask === 'approve')

  beforeAll(async () => {
    gateway = await openGateway({ dashboard: join(root, 'gateway/dashboard/dist') })
    device = await ScriptedDevice.open(gateway.mqttUrl, 'hub')
    device.answer = (call) => {
      const { method, ask } = call
      if (method === 'agent' && ask === 'approvals' && people) return { result: { approvals: [], people } }
      if (method === 'agent' && ask === 'approve') return answers(call)
      if (method === 'agent' && ask === 'logs') return { result: { lines } }
      if (method === 'agent' && ask === 'grants' && may) return { result: may }
      if (method === 'agent' && ask === 'list' && listed) {
        const agents = listed.map(({ grants: _, moreGrants: __, ...view }) => view)
        return { result: { agents, more: false } }
      }
      return { error: { code: 'unavailable', message: 'not now' } }
    }
    await device.online()
  })
  beforeEach(() => {
    people = ['Ada']
    device.calls.length = 0
    answers = ({ approval, answer, by = 'nobody' }) => ({
      result: { approval, answer, agent: 'night-watch', words: 'w', by },
    })
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
    await gateway?.[Symbol.asyncDispose]()
  })

  it('[dashboard-16] where nobody is known it says how a yes is given, and takes a no, by keyboard and on a phone', async () => {
    people = []
    await tell([asks('a1')])
    await using opened = await openPage(browser(), gateway.httpUrl, { ...phone, colorScheme: 'dark' })
    const { page, complaints } = opened
    const card = waiting(page)
    await card.getByText('A yes needs somebody whom this home knows').waitFor()
    await card.getByText('ganglion approve a1 yes').waitFor()
    await card.getByText('ganglion person NAME').waitFor()
    expect(await card.getByRole('button', { name: 'Yes' }).count()).toBe(0)
    expect(await card.getByRole('textbox').count()).toBe(0)
    await shot(page, 'approvals-unknown-phone-dark')
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(await structureFaults(page)).toEqual([])
    expect(await controlFaults(page)).toEqual([])
    expect(await contrastFaults(page)).toEqual([])
    await pressable(card.getByRole('button', { name: 'No' })).focus()
    await page.keyboard.press('Enter')
    await card.getByText('You said no.').waitFor()
    expect(answered()).toMatchObject([{ approval: 'a1', answer: 'no' }])
    await tell([])
    await ended('a1', 'no', 'claimed:nobody')
    await over(page, 'no').getByText('No, by somebody').waitFor()
    await focusOn(page.locator('#approvals-title'))
    expect(complaints.filter((line) => !line.includes('503'))).toEqual([])
  })

  it('[dashboard-16] where people are known a no needs no PIN, and a yes does', async () => {
    await tell([asks('b1')])
    await using opened = await openPage(browser(), gateway.httpUrl)
    const card = waiting(opened.page)
    await card.getByLabel('PIN').fill('24')
    expect(await card.getByRole('button', { name: 'Yes' }).isDisabled()).toBe(true)
    await card.getByLabel('You are').selectOption('Ada')
    await pressable(card.getByRole('button', { name: 'No' })).click()
    await card.getByText('You said no.').waitFor()
    expect(answered()[0]).toMatchObject({ answer: 'no', by: 'Ada' })
    expect(answered()[0]).not.toHaveProperty('pin')
  })

  it('[dashboard-16] a device that does not say whom it knows is asked again, once for all its questions', async () => {
    people = undefined
    await tell([asks('c1'), asks('c2')])
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    await waiting(page).first().getByText('does not say whom it knows').waitFor()
    expect(await page.getByText('ganglion approve').count()).toBe(0)
    people = ['Ada']
    const before = device.calls.filter(({ ask }) => ask === 'approvals').length
    await waiting(page).first().getByRole('button', { name: 'Ask again' }).click()
    await page.getByLabel('PIN').nth(1).waitFor()
    expect(device.calls.filter(({ ask }) => ask === 'approvals')).toHaveLength(before + 1)
  })

  it('[dashboard-17] a press that was meant for a question answers no other that took its place', async () => {
    await tell([asks('d1'), asks('d2', { expiresMs: Date.now() + 2 * hourMs })])
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const noOf = (id: string) => page.locator(`[data-approval="${id}"]`).getByRole('button', { name: 'No' })
    await pressable(noOf('d1')).waitFor()
    // From here on only this test moves the page's time.
    await page.clock.install()
    await page.clock.pauseAt(Date.now() + 60_000)
    await tell([asks('d2')])
    await page.locator('[data-approval="d1"]').waitFor({ state: 'detached' })
    await noOf('d2').and(page.locator('[aria-disabled="true"]')).waitFor()
    await noOf('d2').dispatchEvent('click')
    await page.clock.runFor(5_000)
    await pressable(noOf('d2')).waitFor()
    expect(answered()).toEqual([])
    await noOf('d2').click()
    await page.getByText('You said no.').waitFor()
    expect(answered()).toMatchObject([{ approval: 'd2' }])
  })

  it('[dashboard-11] when its time is over while somebody types, the answers go and the focus stays with the question', async () => {
    await tell([asks('e1')])
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const card = waiting(page)
    await card.getByLabel('PIN').fill('24')
    await tell([asks('e1', { expiresMs: Date.now() })])
    await card.getByText('Expired: nobody answered in time').waitFor()
    expect(await card.getByRole('button').count()).toBe(0)
    await focusOn(card.getByRole('heading'))
    await tell([])
    await ended('e1', 'expired')
    await focusOn(page.locator('#approvals-title'))
  })

  it('[dashboard-11] who was not the first to answer is told so, and then who was', async () => {
    answers = () => ({ error: { code: 'bad-request', message: 'this was answered already' } })
    await tell([asks('f1')])
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    await pressable(waiting(page).getByRole('button', { name: 'No' })).click()
    await waiting(page).getByText('Not answered: this was answered already').waitFor()
    await tell([])
    await ended('f1', 'yes', 'Grace')
    await over(page, 'yes').getByText('Yes, by Grace, by PIN').waitFor()
    await waiting(page).waitFor({ state: 'detached' })
  })

  it('[dashboard-5] moves nothing where somebody asked for less motion', async () => {
    await tell([asks('h1')])
    await using opened = await openPage(browser(), gateway.httpUrl, { reducedMotion: 'reduce' })
    const { page } = opened
    await waiting(page).waitFor()
    const moving = await page.evaluate(() =>
      [...document.querySelectorAll('*')].flatMap((element) =>
        ['', '::before', '::after'].flatMap((part) => {
          const { transitionDuration, animationName, scrollBehavior } = getComputedStyle(element, part)
          const still = transitionDuration === '0s' && animationName === 'none' && scrollBehavior === 'auto'
          return still ? [] : [`${element.className}${part}`]
        }),
      ),
    )
    expect(moving).toEqual([])
  })

  it('[dashboard-10] why an agent failed it asks the device, and shows as much as everybody is told until that says it', async () => {
    listed = undefined
    const failed = agent('broken', { state: 'failed', reason: 'it failed with TypeError' })
    await tell([], [failed])
    await using opened = await openPage(browser(), gateway.httpUrl)
    const { page } = opened
    const card = agentOf(page, 'broken')
    await card.getByText('It failed with TypeError').waitFor()
    const threw = { reason: 'TypeError: light.kitchen_table is not a function' }
    listed = [{ ...failed, ...threw }]
    await tell([], [{ ...failed, turns: 13 }])
    await card.getByText('TypeError: light.kitchen_table is not a function').waitFor()
  })

  it('[dashboard-18] what an agent says is text and nothing else, and moves nothing on a phone', async () => {
    const name = `a${'-long'.repeat(12)}er0`
    const evil = `<img src=x onerror="document.title=1"> \u202Eyes\u202C \u0007\u0000 ${'W'.repeat(200)}`
    lines = [{ atMs: Date.now(), level: 'info', text: evil }]
    const lock = { capability: 'lock.*:command', words: 'lock and unlock locks', allow: '[]' }
    may = {
      ...{ name, wants: '[]', grants: '[]', priority: 'background' },
      lines: [{ ...lock, words: `${lock.words} (state \u202E"dekcol")` }],
    }
    await tell(
      [
        asks('g1', { agent: name, kind: 'question', words: evil, choices: ['W'.repeat(40), '\u202Eon'] }),
        asks('g2', { agent: name, words: `command lock.${'x'.repeat(80)}: state "unlocked"` }),
      ],
      [
        agent(name, {
          problem: evil.slice(0, 300),
          reason: evil.slice(0, 300),
          grants: [evil.slice(0, 200)],
        }),
      ],
    )
    await using opened = await openPage(browser(), gateway.httpUrl, phone)
    const { page, complaints } = opened
    const card = agentOf(page, name)
    for (const closed of ['May do 1 thing', 'What it said lately']) await card.getByText(closed).click()
    await card.locator('.agent-log li').waitFor()
    await card.getByText('It asks for this too').waitFor()
    await card.getByRole('button', { name: 'Remove' }).click()
    await card.getByText('It cannot be undone').waitFor()
    await page.getByLabel('PIN').first().waitFor()
    await shot(page, 'approvals-hostile-phone')
    const text = await page.evaluate(() => document.body.textContent)
    expect(text).not.toMatch(/[\u202A-\u202E\u2066-\u2069]|(?!\s)\p{Cc}/u)
    expect(text).toContain('<img src=x')
    expect(text).toContain('\uFFFDyes\uFFFD')
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(await controlFaults(page)).toEqual([])
    expect(await structureFaults(page)).toEqual([])
    expect(complaints.filter((line) => !line.includes('503'))).toEqual([])
  })
})
