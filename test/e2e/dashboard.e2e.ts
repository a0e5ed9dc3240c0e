/** The dashboard in a real browser, on a real hub with its simulated home: what a person does, sees and is told. */
import { join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contrastFaults, controlFaults, structureFaults } from './accessibility.ts'
import { openPage, startBrowser } from './browser.ts'
import { type Hub, startHub } from './hub.ts'
import { picturesFolder } from './pictures.ts'

const lampId = 'light.living_room_lamp'
const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true } as const
const root = join(import.meta.dirname, '../..')

let hub: Hub
let browser: Browser
let pictures: string

beforeAll(async () => {
  await build({ root: join(root, 'gateway/dashboard'), logLevel: 'warn' })
  hub = await startHub()
  browser = await startBrowser()
  pictures = await picturesFolder()
})

afterAll(async () => {
  await browser?.close()
  await hub?.stop()
  if (pictures) console.info(`screenshots: ${pictures}`)
})

const cardOf = (page: Page, id = lampId) => page.locator(`[data-entity="${id}"]`)
const stateIs = (card: Locator, state: string) =>
  card.and(card.page().locator(`[data-state="${state}"]`)).waitFor()

async function sayTo(page: Page, text: string): Promise<void> {
  await page.getByLabel('What should happen?').fill(text)
  await page.keyboard.press('Enter')
}

/** The newest run, once it has this verdict. */
function newestRun(page: Page, verdict: string): Locator {
  return page
    .locator('.run')
    .first()
    .and(page.locator(`[data-verdict="${verdict}"]`))
}

async function simulateFault(page: Page, id: string, kind: string): Promise<void> {
  const card = cardOf(page, id)
  const more = card.getByRole('button', { name: /^More about/ })
  if ((await more.getAttribute('aria-expanded')) === 'false') await more.click()
  if (kind === 'clear') await card.getByRole('button', { name: 'Clear fault' }).click()
  else {
    await card.getByLabel(/^Fault of/).selectOption(kind)
    await card.getByRole('button', { name: 'Start fault' }).click()
  }
  await card
    .getByText(kind === 'clear' ? 'Simulated fault cleared' : `Simulated fault “${kind}” is on`)
    .waitFor()
}

/** Where a card shows what was reported: never a draft, never the words on a button. */
const reported = (card: Locator) => card.locator('.state, output:not(.draft), .todo li')

const press = (name: string) => (card: Locator) => card.getByRole('button', { name, exact: true }).click()
const slide = (label: string, value: string) => (card: Locator) => card.getByLabel(label).fill(value)

/** One operation of each kind, and what its card says once telemetry agrees. */
const operations: [id: string, operate: (card: Locator) => Promise<void>, shown: string | RegExp][] = [
  ['switch.kitchen_coffee_machine', (card) => card.getByRole('switch').click(), /^On/],
  ['fan.kids_room', slide('Speed', '60'), '60 %'],
  ['cover.living_room_curtains', slide('Position', '70'), '70 %'],
  ['valve.garden_sprinkler', press('Open'), /^Open/],
  ['climate.living_room_thermostat', press('Target: more'), '20.5 °C'],
  ['media_player.living_room_tv', press('Play'), /^Playing/],
  ['vacuum.robbie', press('Start'), /^Cleaning/],
  [
    'todo.shopping_list',
    async (card) => {
      await card.getByLabel('New item').fill('Oranges')
      await card.page().keyboard.press('Enter')
    },
    'Oranges',
  ],
]

describe('the dashboard', () => {
  it('[dashboard-2] shows the lamp on and the command verified, after "turn on the living room lamp"', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    await sayTo(page, 'turn on the living room lamp')
    await stateIs(cardOf(page), 'on')
    await page.locator('.answer .verdict.done').waitFor()
    await newestRun(page, 'done').locator('.step.answered').waitFor()
    const steps = await page.locator('.run').first().locator('.step-name').allTextContents()
    expect(steps).toEqual(['Heard', 'Understood', 'Sent', 'Verified', 'Answered'])
    const times = await page.locator('.run').first().locator('.step-time').allTextContents()
    for (const time of times) expect(time).toMatch(/^[\d.]+ (ms|s)$/)
    expect(await cardOf(page).getByRole('switch').getAttribute('aria-checked')).toBe('true')
    expect(complaints).toEqual([])
  })

  it('[dashboard-2] says honestly that a stuck lamp did not turn off, then obeys again once cleared', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    await sayTo(page, 'turn on the living room lamp')
    await page.locator('.answer .verdict.done').waitFor()
    await stateIs(cardOf(page), 'on')
    await simulateFault(page, lampId, 'stuck')
    await sayTo(page, 'turn off the living room lamp')
    await page.locator('.answer .verdict.failed').waitFor()
    await newestRun(page, 'failed').waitFor()
    const card = cardOf(page)
    await card.locator('.feedback.failed').waitFor()
    expect(await card.locator('.feedback').textContent()).toMatch(/^Did not work: /)
    expect(await card.getAttribute('data-state')).toBe('on')
    await page.screenshot({ path: join(pictures, 'failure-light.png') })

    await simulateFault(page, lampId, 'clear')
    await sayTo(page, 'turn off the living room lamp')
    await stateIs(card, 'off')
    await card.locator('.feedback.verified').waitFor()
    expect(complaints).toEqual([])
  })

  it('[dashboard-1] dims the lamp by its slider and shows the brightness that was reported', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    const card = cardOf(page)
    await card.getByLabel('Brightness').fill('40')
    await stateIs(card, 'on')
    await card.locator('.feedback.verified').waitFor()
    await card.locator('.slider output:not(.draft)').waitFor()
    expect(await card.locator('.slider output').first().textContent()).toBe('40 %')
    expect(complaints).toEqual([])
  })

  it('[dashboard-1] goes back to the reported brightness when a stuck lamp did not dim', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page } = opened
    const card = cardOf(page)
    await card.getByLabel('Brightness').fill('40')
    await card.locator('.feedback.verified').waitFor()
    await simulateFault(page, lampId, 'stuck')
    await card.getByLabel('Brightness').fill('90')
    await card.locator('.feedback.failed').waitFor()
    await card.locator('.slider output:not(.draft)').first().waitFor()
    expect(await card.locator('.slider output').first().textContent()).toBe('40 %')
    await simulateFault(page, lampId, 'clear')
  })

  it.each(operations)('[dashboard-2] operates %s and shows what was verified', async (id, operate, shown) => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    const card = cardOf(page, id)
    await operate(card)
    await card.locator('.feedback.verified').waitFor({ timeout: 20_000 })
    await reported(card).filter({ hasText: shown }).first().waitFor()
    expect(complaints).toEqual([])
  })

  it('[dashboard-6] unlocks the front door only after a second press', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    const card = page.locator('[data-entity^="lock."]').first()
    await card.getByRole('button', { name: 'Lock', exact: true }).click()
    await stateIs(card, 'locked')
    await card.getByRole('button', { name: 'Unlock', exact: true }).click()
    expect(await focusedName(page)).toBe('Keep locked')
    expect(await card.getAttribute('data-state')).toBe('locked')
    await card.getByRole('button', { name: 'Unlock it' }).click()
    await stateIs(card, 'unlocked')
    expect(complaints).toEqual([])
  })

  it('recalls what was said with arrow up', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page } = opened
    await sayTo(page, 'turn on the living room lamp')
    await page.locator('.answer .verdict.done').waitFor()
    const line = page.getByLabel('What should happen?')
    await line.fill('half a thou')
    await line.press('ArrowUp')
    expect(await line.inputValue()).toBe('turn on the living room lamp')
    await line.press('ArrowDown')
    expect(await line.inputValue()).toBe('half a thou')
  })

  it('shows what was refused as refused, with words and no change', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    await sayTo(page, 'colourless green ideas sleep furiously')
    await page.locator('.answer .verdict.refused, .answer .verdict.question').waitFor()
    expect((await page.locator('.answer .verdict').textContent())?.length).toBeGreaterThan(10)
    expect(complaints).toEqual([])
  })

  it('[dashboard-5] reaches every control with the Tab key, shows where the focus is, and operates by keyboard', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page, complaints } = opened
    const missed = await tabThrough(page)
    expect(missed).toEqual([])

    const card = cardOf(page)
    const before = await card.getAttribute('data-state')
    await card.getByRole('switch').focus()
    await page.keyboard.press('Space')
    await stateIs(card, before === 'on' ? 'off' : 'on')
    await card.locator('.feedback.verified').waitFor()
    expect(complaints).toEqual([])
  })

  it.each(['light', 'dark'] as const)(
    '[dashboard-5] has readable text and named controls in %s',
    async (colorScheme) => {
      await using opened = await openPage(browser, hub.url, { colorScheme })
      const { page } = opened
      await sayTo(page, 'turn on the living room lamp')
      await page.locator('.answer .verdict.done').waitFor()
      await page.screenshot({ path: join(pictures, `desktop-${colorScheme}.png`), fullPage: true })
      await openEverything(page)
      expect(await structureFaults(page)).toEqual([])
      expect(await controlFaults(page)).toEqual([])
      expect(await contrastFaults(page)).toEqual([])
    },
  )

  it('its accessibility checks find what was planted', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page } = opened
    await page.evaluate(() => {
      const card = document.querySelector('.card')
      card?.insertAdjacentHTML('beforeend', '<h6 class="planted-text">faint</h6><button></button>')
      const text = document.querySelector<HTMLElement>('.planted-text')
      if (text) text.style.color = '#999'
    })
    expect((await contrastFaults(page)).join()).toContain('faint')
    expect((await controlFaults(page)).join()).toContain('no name')
    expect((await structureFaults(page)).join()).toContain('is followed by h6')
  })

  it.each(['light', 'dark'] as const)('[dashboard-5] fits a phone of 360 px in %s', async (colorScheme) => {
    await using opened = await openPage(browser, hub.url, { ...phone, colorScheme })
    const { page, complaints } = opened
    await sayTo(page, 'turn on the living room lamp')
    await page.locator('.answer .verdict.done').waitFor()
    await page.screenshot({ path: join(pictures, `phone-${colorScheme}.png`), fullPage: true })
    await openEverything(page)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
    const cutOff = () =>
      [...document.querySelectorAll('button')]
        .filter((b) => b.scrollWidth > b.clientWidth + 1)
        .map((b) => b.textContent)
    expect(await page.evaluate(cutOff)).toEqual([])
    expect(await controlFaults(page)).toEqual([])
    expect(complaints).toEqual([])
  })

  it('sends the microphone as WAV, 16 kHz mono', async () => {
    await using opened = await openPage(browser, hub.url, { permissions: ['microphone'] })
    const { page } = opened
    const sent = nextUpload(page)
    await page.getByRole('button', { name: 'Speak', exact: true }).click()
    await page.locator('.recording').getByText('1 s').waitFor()
    await page.getByRole('button', { name: 'Stop and send' }).click()
    const header = Buffer.from(await sent)
    expect(header.toString('latin1', 0, 4)).toBe('RIFF')
    expect(header.readUInt16LE(22)).toBe(1)
    expect(header.readUInt32LE(24)).toBe(16_000)
    await page.locator('.answer .verdict:not(.pending)').waitFor()
  })

  it('[dashboard-3] says that it is not live while the hub is gone, and is live again by itself', async () => {
    await using opened = await openPage(browser, hub.url)
    const { page } = opened
    const { port } = new URL(hub.url)
    await hub.stop()
    await page.locator('.banner').waitFor()
    await page.locator('[data-connection="lost"]').waitFor()
    hub = await startHub(port)
    await page.locator('[data-connection="live"]').waitFor({ timeout: 40_000 })
    expect(await page.locator('.banner').count()).toBe(0)
    await sayTo(page, 'turn on the living room lamp')
    await page.locator('.answer .verdict.done').waitFor()
  })
})

/** The first bytes of the next body that is sent as a Blob: the browser's own protocol does not show those. */
function nextUpload(page: Page): Promise<number[]> {
  return page.evaluate(
    () =>
      new Promise<number[]>((resolve) => {
        const send = window.fetch
        window.fetch = async (input, init) => {
          if (init?.body instanceof Blob)
            resolve([...new Uint8Array(await init.body.slice(0, 44).arrayBuffer())])
          return send(input, init)
        }
      }),
  )
}

function focusedName(page: Page): Promise<string | undefined> {
  return page.evaluate(() => document.activeElement?.textContent?.trim())
}

async function openEverything(page: Page): Promise<void> {
  const closed = page.locator('.more[aria-expanded="false"], .run details:not([open]) summary')
  for (let left = await closed.count(); left > 0; left = await closed.count()) await closed.first().click()
}

/** Walks the page with Tab. Gives the controls that it never reached, and those whose focus cannot be seen. */
async function tabThrough(page: Page): Promise<string[]> {
  const wanted = await page.evaluate(() => {
    const controls = [...document.querySelectorAll('button, a[href], input, select, summary')]
    const reachable = controls.filter(
      (element) => !element.matches(':disabled, [tabindex="-1"]') && element.getClientRects().length > 0,
    )
    for (const [at, element] of reachable.entries()) element.setAttribute('data-tab', String(at))
    return reachable.length
  })
  const reached = new Set<string>()
  const faults: string[] = []
  for (let presses = 0; presses < wanted + 20 && reached.size < wanted; presses++) {
    await page.keyboard.press('Tab')
    const focus = await page.evaluate(() => {
      const element = document.activeElement
      if (!element) return undefined
      const { outlineStyle, outlineWidth } = getComputedStyle(element)
      const seen = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2
      return { tab: element.getAttribute('data-tab'), seen, html: element.outerHTML.slice(0, 100) }
    })
    if (focus?.tab) reached.add(focus.tab)
    if (focus?.tab && !focus.seen) faults.push(`focus not seen: ${focus.html}`)
  }
  for (let at = 0; at < wanted; at++) {
    if (reached.has(String(at))) continue
    faults.push(
      `not reached: ${await page.locator(`[data-tab="${at}"]`).evaluate((e) => e.outerHTML.slice(0, 100))}`,
    )
  }
  return faults
}
